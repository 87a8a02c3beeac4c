"""Pictures of one stained image: its stains taken apart, its nuclei as a probability map, and what is read from that.

raster         nuclei on pixels: whose each is, and how far out
separated      stains and nuclei as pictures
segmentation   a probability map read: nuclei, their class, the counts
nuclei         an image's nuclei, and how strongly each shows
bands          all pictures of an image of any size, from top to bottom
png            PNG files written row by row
resampled      an image at the resolution that a model works at
"""
