"""What the web page may ask the server: routes, checks of requests, previews, motions, pictures, live sessions."""
