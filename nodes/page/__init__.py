"""What the web page may ask the server: routes, checks of requests, the preview queue, previews, motions, pictures."""
