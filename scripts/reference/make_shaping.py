#!/usr/bin/env python3
"""Glyphs and positions that HarfBuzz gives for words, for src/report/text.

Run: pip install uharfbuzz && scripts/reference/make_shaping.py DEJAVU_FOLDER
DEJAVU_FOLDER has DejaVuSans.ttf 2.37, as in the crate dejavu. Writes tests/data/fonts/shaping.json.
"""

import json
import sys
from pathlib import Path

import uharfbuzz as hb

FONTS = Path(__file__).parents[2] / "tests/data/fonts"
WORDS = {
    "DejaVuSans.ttf": ["غضب", "سعادة", "شَوْق", "כעס", "e\u0301", "n\u0303o"],
    "NotoSansDevanagari-subset.ttf": ["क्रोध", "खुशी", "दुःख", "तटस्थ", "हिंदी"],
    "NotoSansCJKsc-subset.otf": ["生气", "悲伤"],
}


def shaped(font, text):
    buffer = hb.Buffer()
    buffer.add_str(text)
    buffer.guess_segment_properties()
    hb.shape(font, buffer)
    glyphs = zip(buffer.glyph_infos, buffer.glyph_positions)
    return [[info.codepoint, at.x_advance, at.x_offset, at.y_offset] for info, at in glyphs]


result = {}
for name, words in WORDS.items():
    file = (Path(sys.argv[1]) if name.startswith("DejaVu") else FONTS) / name
    font = hb.Font(hb.Face(hb.Blob.from_file_path(str(file))))
    result[name] = {word: shaped(font, word) for word in words}
(FONTS / "shaping.json").write_text(json.dumps(result, ensure_ascii=False, indent=1) + "\n")
