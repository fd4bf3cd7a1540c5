"""Writes odd images, and what tifffile and Pillow read: NAME.tif, NAME.jpg or NAME.png beside NAME.expected.npy or NAME.refused.txt.

    pip install -r tests/clients/requirements.txt
    python chunkserver/formats/tests/generate/generate.py FOLDER [--all]

Without --all, the files of `tests/cases/`; with it, about a thousand more: every combination of compression, predictor, depth and layout.
`FORMATS_CASES=FOLDER cargo test -p formats --test cases` compares them.
"""

from common import SEEN
from png_and_jpeg import jpegs, pngs
from tiff_files import layouts, stacks
from tiff_pixels import depths, fill_orders, sparse

for function in (fill_orders, sparse, stacks, depths, layouts, pngs, jpegs):
    function()
print(len(SEEN), "cases")
