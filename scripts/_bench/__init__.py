"""How fast and how small a running ProdSys is, told as ratios to the least a program could do on the same disk."""
