"""THA4 as a library: a picture of an anime character and 45 pose numbers in, a posed frame out."""
