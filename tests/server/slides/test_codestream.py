"""Colours are decided by what the encoded frame proves, whatever its container says (PS3.3, C.7.6.3.1.2)."""

import base64

import cv2
import imagecodecs
import numpy as np
import pytest
import simplejpeg

from inference.geometry import Size
from server.slides.codec import Encoding, decode
from server.slides.codestream import Colour, colour_of_jpeg, declare_colour, with_colour

SQUARE = Size(width=64, height=64)
BOTH = [Colour.RGB, Colour.YCBCR]

# The picture of `waves` as YCbCr with fewer samples of chroma, by FFmpeg's encoder and OpenJPEG's: imagecodecs can't
# make such.
SUBSAMPLED = {
    "422": base64.b64decode(
        """
/0//UQAvAAAAAABAAAAAQAAAAAAAAAAAAAABAAAAAQAAAAAAAAAAAAADBwEBBwIBBwIB/1IADAAAAAEABgICAAH/XAAWIEBISFBISFBISFBISFBI
SFBISFD/ZAARAAFMYXZjNjIuMjguMTAy/5AACgAAAAAHBAAB/5PPqAQBw+QECD/PqAgEn8HyAY+oCg+cCAYJdwfB8gIEP8fUBAQfw+cLH1AsD5AY
DefEsX8LQK8R3w/Cs8fUBx9QHB84IAufXwvzTwpbwfICj6gOA+EIBk0MS1cLt8D4SIPkFQBKCoWWrptegn8S0NfyVymSICIBEXzNUBbD5xMPnDwP
kCgXBRhiMGyUwn8BUuFzSS4/GfOoJZDD5w8HyB4B0MAT8pj7Cwd/DwpvyM3fPxo2H8D4UYHwrwDqgF+ceP4ESYLbOOkAHk2M7HnDGBVeIJ4BkY+9
UoHeHi+WlR5Y7Lof34cdP12fIhtcVLmj3qAL3ikxk5p2X8PnJwfIOgHSwCGmWQbGt69omnL4NNF16Oq3/384zXORVQxBmPMuJ8cCEhZb/NQsT4ma
kxp7wPhOgfCdAFUAF90lz54Q7+63nkoZGT8pRRlCij5UqxBGtrGEvxGD+mPVNscg/3/A+G6gfDdwDtqAnNA2C06vYHOTktb5qWZQgsB/Zz7eNrVJ
mCzbnXPVizlQhfZbdMey8UU1U3Qh6yyiKVYzKjfhVWa4YZ6neV7pdaaHxEaKTDbmBxFRYI3QB2RHPzT4u9dh/HQKW5FGxztXedavRZzdEZk2oj1H
W9witBebHuhbYlUvwwwCLsg+V+emCRrbZElv2kOvptXl31h35Q+i/N52Mxx9WyGvzfYV1Z/0qoIlMLvCPY/B8iaB8NBAOvg11oi8p8SfkqNblzr+
xvcI+TfwgcD9EEMNfLjbokyjE/qEHBv/f4dRpkOUulFEXK44IHWC0ouhuBdgk0Wqg/hz+wBH6yZPM4eUvtZzNsspTMtHTOs19EYZtvo6gv8Y6v0c
l4YI8sD4aWB8L8A64Dag5FlcJ8EFVrs86XOpIFwQT6AqsLQsc0uGk0T5Zlyikw5QWhOEHthY20JdX/fOw4ghp+t4x3GmShU3a/TgNPJEh3Z/NsaL
HOBXoYzZLhmbZmyQnDnePb0dw9JhXqSgv+Arp/ar2q9rMB7Te0/tT7W4BXU10/thXUgRerzRAxaQLEOmF1ZtqokuQGEmV7Bk929gRhEVGS8Jz1mH
QpKTs18WrNSLoAr8nGkrnvNUhce0FBgwpM1daRUePwpipdNlbw5EIcZLad3R6EuOw8M9HoJ/qlLKSc6eGgc3QPd41lpkfVoxdUUHEHstBOy3Ssbn
I4Sq/D9frCQDhrfexbHAqD/MfbR2BYU5rUE8Lq/EPEyN0IKioEBVZ+T0lCL0zcNVPzqQmGsf4I5K5VgQOwhVjswSdye7x7JlxtDfayVDs5ISj46l
urcJKzDafWyG7Czb9Y28N1n0vdmOQ499C2NwIqiPUIz6wzZkIgzdfcMHmqbO2MzJpuptDF72iqr/WoB29S06690wpTJlteIOt22MCrwcboPTKemG
F7zH91gzFx/C3+zF05FQzURk22Cd7TR5NkvQ/S7YSXK1aptDvp7/OER61p8V5gnc468vxW/USdJD3GSIq2DUccn4lsGYaebLpklx0DShwiKhFBFB
PxexQMuecWUZoy7gSAD8iHep/IVYeolsUogCa24Z2ORObKOIKedKfxgxudjpOrgBkc0/5NR6dGgcCOrxFzEZAWq0L4jHD1jRw8HGg81f3TlNzpGa
AQMHrRafWHdX5D7RXMGrTxiMumVG+Z8yyqDuutfUQz7WkhHXbtEGgpHwkM3v4H4bX8NdgPaP2mwD2mrpwF7pfR7MTaV+hTIQSvgtFF9/ocz8X8gd
C6+wBNUozLWPnoFKTch9PDJASWuVb01Ezs7R9Nu9nCRwLlKGeY50eRNJGaGg3t0bj64ANFQZ9XKrxQO3sp+i5wyxmQtF8E0Q3Ag4v6Iaz4RClAlP
iKqGAyYTMQ/3nWgRPw3NdnnPBhBEksLmfx4XI3h7d5HfYnx0bzAAxrMvY5H+HNGxE8VpdcA9k3bqA5EGAFVK3OtZUI3/dZ0Vgh2Vejh9rnj2CQXs
XAbdhWsBEL4jPwllM3JPH1rgjwbBAttfItkc6PKlCf8ZlH+A00KjNaqSGnW54oCepazbSYxgZKNbQ+A9qfarAe0ntPgDdRumX6e4cM2/zsRzoMu/
tjHzD8Y4eFiLnarDA1aFNbDojue4uP7uz6VoRm8mDktpRmT1DK23yBKjfUTPlz/4ZEKr9nH8ifAcLdMAE1UYuaEYM2qEtjcPfDzXSCNpsi94k8rz
cZndTbuWT92XxYC70uFlFxcZZLUW4T8t2Fa7IvpgT0W4V7X5ByP1A5yAYYlD21crIu938cNXJFQuvKB9RYcP3YXDxyBvPkotqDIZ+AIMLj7MNJYV
AQ8ubUysOSEBzHNm3OVdjx1/As5asxUJKiUhZYBaIE8fhEkoLv0rayDvpVqJ8sLwnCyLxGYhF7//2Q==
"""
    ),
    "420": base64.b64decode(
        """
/0//UQAvAAAAAABAAAAAQAAAAAAAAAAAAAABAAAAAQAAAAAAAAAAAAADBwEBBwICBwIC/1IADAAAAAEABgICAAH/XAAWIEBISFBISFBISFBISFBI
SFBISFD/ZAARAAFMYXZjNjIuMjguMTAy/5AACgAAAAAFlQAB/5PPqAQBw+QECX/PqAgEn8HyAY+oCg+cCAYJdwcAAMPnCx9QLA+QGA3nxLF/C0Cv
Ed8PwrPD5wMD4QY+0BAGAAfA+EGPqAoHyAQJBA8CwPhIg+QVAEoKhZaum16CfxLQ1/JXKZIgIgERfM1QFsPnCT7QWD5wgA5Jh58MMF9GPw8whR/D
5wkfUCwHwhgBaph/EFlMbG8QGZ/A+FGB8K8A6oBfnHj+BEmC2zjpAB5NjOx5wxgVXiCeAZGPvVKB3h4vlpUeWOy6H9+HHT9dnyIbXFS5o96gC94p
MZOadl/D5xcPnGQDowAhkV+Y3F+JE6YdPwFa9aQGhV7p2iI15x6rZhJ1KsD4SYPkEwDooA7N7SkgKYSXTw8gJoF3KeR6fxJLmyWxwPhuoHw3cA7a
gJzQNgtOr2Bzk5LW+almUILAf2c+3ja1SZgs251z1Ys5UIX2W3THsvFFNVN0IessoilWMyo34VVmuGGep3le6XWmh8RGikw25gcRUWCN0AdkRz80
+LvXYfx0CluRRsc7V3nWr0Wc3RGZNqI9R1vcIrQXmx7oW2JVL8MMAi7IPlfnpgka22RJb9pDr6bV5d9Yd+UPovzedjMcfVshr832FdWf9KqCJTC7
wj2PwfIXg+QtAOogNj46coWywgjD0g4Fg9TxyFGxQfC0Dh9XSR6H/fgNmBi9lOkOZClf/VjoIl9rM1npC8fNvSKoijyj96BZlH/A+FaB8KcA6eA2
nrPUA4ZsPFOmcgNrBuWgz9ZnoZbjPZrqB7m7opACW29FZu2X2jqZkFgo3G4thCUNarb5PjsLKOArp/ar2q9rMB7Te0/tT7W4BXU10/thXUgRerzR
AxaQLEOmF1ZtqokuQGEmV7Bk929gRhEVGS8Jz1mHQpKTs18WrNSLoAr8nGkrnvNUhce0FBgwpM1daRUePwpipdNlbw5EIcZLad3R6EuOw8M9HoJ/
qlLKSc6eGgc3QPd41lpkfVoxdUUHEHstBOy3SsbnI4Sq/D9frCQDhrfexbHAqD/MfbR2BYU5rUE8Lq/EPEyN0IKioEBVZ+T0lCL0zcNVPzqQmGsf
4I5K5VgQOwhVjswSdye7x7JlxtDfayVDs5ISj46lurcJKzDafWyG7Czb9Y28N1n0vdmOQ499C2NwIqiPUIz6wzZkIgzdfcMHmqbO2MzJpuptDF72
iqr/WoB29S06690wpTJlteIOt22MCrwcboPTKemGF7zH91gzFx/C3+zF05FQzURk22Cd7TR5NkvQ/S7YSXK1aptDvp7/OER61p8V5gnc468vxW/U
SdJD3GSIq2DUccn4lsGYaebLpklx0DShwiKhFBFBPxexQMuecWUZoy7gSAD8iHep/IVYeolsUogCa24Z2ORObKOIKedKfxgxudjpOrgBkc0/5NR6
dGgcCOrxFzEZAWq0L4jHD1jRw8HGg81f3TlNzpGaAQMHrRafWHdX5D7RXMGrTxiMumVG+Z8yyqDuutfUQz7WkhHXbtEGgpHwkM3vwPhsIHw10A7Y
gF7f0p9s92IVLEw/9WZS7BFxg80iCLCozciau1+VxSK9xgvCOwSvmmT8Todhv8aqP6QPKOJDrWcujXfmv6La7bmBamsSxd015BqvvdLp7wDoKRnU
LSCIPb+RNwdzoaGP1cqJWSq0y5EOvMQMIU4qezaJGVCFCEUIvGwHEUAlrrkm0SfDW9dNWUcB4oorC7GfwHa2B8NRAF04X55HOd7I26GhoDqhL5xS
VZLu5NBW9ouceCWNPAObJ5Sflr5/GwmucIk9Neh/nbBe8/mDnm5ml2F6/oIRhOGj7Awf9wBLdFyeEHNktexG5Tu287FUTwjA5L8PpEdlqCoytqLR
2zBNq+amFIv+cqZQ8tJxTmDp6IiJgB90R//Z
"""
    ),
    "440": base64.b64decode(
        """
/0//UQAvAAAAAABAAAAAQAAAAAAAAAAAAAAAQAAAAEAAAAAAAAAAAAADBwEBBwECBwEC/1IADAAAAAEAAgQEAAD/XAARQl9SUAVQBVBHV9NX01di
/2QAJQABQ3JlYXRlZCBieSBPcGVuSlBFRyB2ZXJzaW9uIDIuNS4w/5AACgAAAAADjgAB/5PH5XsAE4v+aynZHnrVMhdmgpGbZaGgdAdMx0blBacz
q7+anCFy1ZqPGvqTqTCCnv0pskJiNC2Lsyk7wkHZloiMgkvhsBqPFtSKAGrkEgDTpmxwgvFMB5rwvSlN8RfQ1rMDNEgmvOaSns4uhUzdJmcvj5nK
isXLpXuymQwK8S79qWOc/Ilg5X9SgNbP8e7Lju1nZ1ABRehGd7JSDfLLbvM+DWh2q5zQDEYD6bMp1EMXZfSf4dzCvYeRvDMjSRLlryHnuOIQYowP
U5ZJfMLrO3aha1mbxoxEkKNjChylb5VuQVQZGdcRKgTCGPO3EJiovTjozD2gyGyPPfsfx+VAgHGplhTibnVeJSKs8U3M7AE2tJSiv9TKZ0WWEwry
2eNOi31OXBnuVIkqLNMWzWHVx3kNJcSW8ZB8jCOa76lrlNBiWh7gXXoH8M0SLn3iXpKSylw7VaRFeFqat2CJ64ln0qeHNb/0E1o9Z4E5Sd6hj63r
9BuqzlYDsKSToYZSnIVg78flQIApF6uOI36GIklgVKgaL4fv21+Vb6ugGbsY0/TpQGZFLsAXVNAXR+au38gmEQZY5BfwK1/ADGBJBp9bJ/5s79ir
WlAXOGDHkdhJI23MSQ7C6ogSZam9LfoTInEyiyhhdRmgBfNjMw3x581pxGkTR0p/JjobXoACIW1JtzCeTcMGKy/APhRgPkPgi6J+1waIBqbd3faE
hA7IcqGdlTuZjwwDCToLaEDq06nVXpX/KcSZpONUgGYPOiwvwHyD4HznoASAX0QuwF5JerCiphzFelFfhTCUteKAFQYwMUEanbdm1EfqUO618n6k
8NyoV7lhVaLGb8A+E2A+QpACUF+mFeb5+Ecaa/EYLNZmrPdsZo67n+v8rfyGTicRueC3rxifpZV/wAqoA6lACMCLGBdvd8/+pHh34YwKDSFF5e9K
AfvAZjwhuUR9xHu/wB1eAfDZQAtMw/7gfPJLa6kBQDFqjmzqxnbXpfgPY7/HrY3B7qV3teuxg7Wr6mvymfYfhQeTC0mVnouRINtD/3Q4VEYRBboa
56K8IUc1FJL2lxXsu4wSNuEJe8cvjH0u3/0q98jAHWIB8NFACtCLG9qsNLXPP2x/g6HeC6eew/SUOLsYjZ/EejN3SX1AbnzHbqMaVB0rUibAFQLi
6T9CWWnAMcEQWWZPijUZyErlN1syUh5vf//Z
"""
    ),
    "411": base64.b64decode(
        """
/0//UQAvAAAAAABAAAAAQAAAAAAAAAAAAAAAQAAAAEAAAAAAAAAAAAADBwEBBwQBBwQB/1IADAAAAAEAAgQEAAD/XAARQl9SUAVQBVBHV9NX01di
/2QAJQABQ3JlYXRlZCBieSBPcGVuSlBFRyB2ZXJzaW9uIDIuNS4w/5AACgAAAAACugAB/5PH5XsAE4v+aynZHnrVMhdmgpGbZaGgdAdMx0blBacz
q7+anCFy1ZqPGvqTqTCCnv0pskJiNC2Lsyk7wkHZloiMgkvhsBqPFtSKAGrkEgDTpmxwgvFMB5rwvSlN8RfQ1rMDNEgmvOaSns4uhUzdJmcvj5nK
isXLpXuymQwK8S79qWOc/Ilg5X9SgNbP8e7Lju1nZ1ABRehGd7JSDfLLbvM+DWh2q5zQDEYD6bMp1EMXZfSf4dzCvYeRvDMjSRLlryHnuOIQYowP
U5ZJfMLrO3aha1mbxoxEkKNjChylb5VuQVQZGdcRKgTCGPO3EJiovTjozD2gyGyPPfsfx+SIU1HH1jYuoFmpsTpCy0RKD/Rf7P6PtFWQVuRLr7Jn
ulQ7Bc2cmXAzv8YA0/8yMAxNo6XV2ROs7KLb39cUt2N/8vCiTd/H5IotoavSeiD5BPmDmmmDK2qYFnNtjlal3/FB1fSBWXhYbE8qH3TBh0z4Wwa8
rgnYi0vbWwmSoz9p9EmajC3UvaUddnjTPQzAPhRgPkPgi6J+1waIBqbd3faEhA7IcqGdlTuZjwwDCToLaEDq06nVXpX/KcSZpONUgGYPOiwvwfSc
gPkDACGvw43VLa2A5gMYsC0ZRt3Bp7L3S7XfFQYzVg5cYHyA57fA+Y9APhJgBGAh/RN6Cg1XG+nak6ydRroYRUwMpqZhjNRtTVh7SydSHMmP5+9a
bH8+/3/ACqgDqUAIwIsYF293z/6keHfhjAoNIUXl70oB+8BmPCG5RH3Ee7/APhooA6VACMA18+n89BYyao9+3tjg87ZENImkVeFokj34K1ZJhmif
xwwfqWGVDRt6a38vVY3SRsA+GlgBMDahcc7BGZoZgP1jry9jGOBmetF7W4iEC7v/NnbDqeqk/HZBjB+CHaOznFf/2Q==
"""
    ),
}


def waves() -> np.ndarray:
    y, x = np.mgrid[:64, :64].astype(float)
    three = [200 + 40 * np.sin(x / 11), 150 + 50 * np.cos(y / 9), 120 + 60 * np.sin((x + y) / 17)]
    return np.clip(np.stack(three, -1), 0, 255).astype(np.uint8)


def ycbcr(rgb: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2YCrCb)[..., [0, 2, 1]])


def off(out: np.ndarray) -> float:
    """Mean difference from the picture, grey levels."""
    return float(np.abs(out.astype(int) - waves()).mean())


def jpeg(chroma: str = "444", *, space: str = "YCbCr") -> bytes:
    if space == "YCbCr":
        return bytes(simplejpeg.encode_jpeg(waves(), quality=95, colorsubsampling=chroma))
    return bytes(imagecodecs.jpeg8_encode(waves(), level=95, colorspace="RGB", outcolorspace="RGB"))


def bare(stream: bytes, names: bytes = b"\x01\x02\x03") -> bytes:
    """Without a marker of colour, the components named anew."""
    declared = declare_colour(stream, Colour.RGB)
    out = bytearray(declared[:2] + declared[18:])
    frame, scan = out.index(b"\xff\xc0"), out.index(b"\xff\xda")
    for k, name in enumerate(names):
        out[frame + 10 + 3 * k] = out[scan + 5 + 2 * k] = name
    return bytes(out)


@pytest.mark.parametrize("declared", BOTH)
@pytest.mark.parametrize("chroma", ["422", "420", "440", "411"])
def test_a_jpeg_of_subsampled_chroma_is_ycbcr_whatever_its_container_says(declared, chroma):
    assert off(decode(bare(jpeg(chroma)), Encoding.JPEG, declared, SQUARE, 1)) < 3


@pytest.mark.parametrize("chroma", ["422", "420"])
def test_nor_can_an_adobe_marker_make_subsampled_chroma_rgb(chroma):
    assert off(decode(declare_colour(jpeg(chroma), Colour.RGB), Encoding.JPEG, Colour.RGB, SQUARE, 1)) < 3


@pytest.mark.parametrize("declared", BOTH)
def test_the_markers_of_a_whole_jpeg_go_before_its_container(declared):
    assert off(decode(jpeg(), Encoding.JPEG, declared, SQUARE, 1)) < 3  # JFIF
    for stream, colour in ((jpeg(), Colour.YCBCR), (jpeg(space="RGB"), Colour.RGB)):
        assert off(decode(declare_colour(bare(stream), colour), Encoding.JPEG, declared, SQUARE, 1)) < 3


@pytest.mark.parametrize("declared", BOTH)
def test_a_jpeg_whose_components_are_called_r_g_b_is_rgb(declared):
    assert off(decode(bare(jpeg(space="RGB"), b"RGB"), Encoding.JPEG, declared, SQUARE, 1)) < 3


def test_a_whole_jpeg_without_any_word_is_what_its_container_says():
    assert off(decode(bare(jpeg(space="RGB")), Encoding.JPEG, Colour.RGB, SQUARE, 1)) < 3
    assert off(decode(bare(jpeg()), Encoding.JPEG, Colour.YCBCR, SQUARE, 1)) < 3


def test_a_marker_of_colour_is_found_behind_other_segments():
    declared = declare_colour(bare(jpeg(space="RGB")), Colour.RGB)
    comment = b"\xff\xfe\x00\x06abcd"
    stream = declared[:2] + comment + declared[2:]
    assert colour_of_jpeg(stream, Colour.YCBCR) is Colour.RGB
    assert with_colour(stream, Colour.YCBCR) == stream
    assert off(decode(stream, Encoding.JPEG, Colour.YCBCR, SQUARE, 1)) < 3


def test_a_declared_colour_replaces_the_markers_of_a_stream():
    as_rgb = decode(declare_colour(jpeg(), Colour.RGB), Encoding.JPEG, Colour.RGB, SQUARE, 1)
    as_before = decode(declare_colour(jpeg(), Colour.YCBCR), Encoding.JPEG, Colour.YCBCR, SQUARE, 1)
    np.testing.assert_array_equal(as_before, decode(jpeg(), Encoding.JPEG, Colour.YCBCR, SQUARE, 1))
    assert np.abs(as_rgb.astype(int) - as_before).mean() > 20


@pytest.mark.parametrize("declared", BOTH)
@pytest.mark.parametrize("chroma", sorted(SUBSAMPLED))
def test_jpeg_2000_of_subsampled_chroma_is_converted_once(declared, chroma):
    assert off(decode(SUBSAMPLED[chroma], Encoding.JPEG2000, declared, SQUARE, 1)) < 2


@pytest.mark.parametrize("declared", BOTH)
@pytest.mark.parametrize("reversible", [True, False])
def test_jpeg_2000_with_its_own_transform_is_rgb(declared, reversible):
    stream = bytes(imagecodecs.jpeg2k_encode(waves(), level=0, reversible=reversible, mct=True, codecformat="j2k"))
    assert off(decode(stream, Encoding.JPEG2000, declared, SQUARE, 1)) < 1


def test_jpeg_2000_without_a_transform_is_what_its_container_says():
    for picture, declared in ((waves(), Colour.RGB), (ycbcr(waves()), Colour.YCBCR)):
        stream = bytes(imagecodecs.jpeg2k_encode(picture, level=0, reversible=True, mct=False, codecformat="j2k"))
        assert off(decode(stream, Encoding.JPEG2000, declared, SQUARE, 1)) < 1


@pytest.mark.parametrize("declared", BOTH)
def test_the_colour_box_of_a_jp2_file_goes_before_its_container(declared):
    for picture, space in ((waves(), "SRGB"), (ycbcr(waves()), "SYCC")):
        options = {"level": 0, "reversible": True, "mct": False, "codecformat": "jp2", "colorspace": space}
        stream = bytes(imagecodecs.jpeg2k_encode(picture, **options))
        assert off(decode(stream, Encoding.JPEG2000, declared, SQUARE, 1)) < 1


@pytest.mark.parametrize(
    "data", [b"", b"\xff\xd8", b"\xff\xd8\xff\xff\xff\xff", b"\xff\xd8\xff\xee\x00\x00\xff\xc0\x00\x01"]
)
def test_a_stump_of_a_jpeg_is_what_its_container_says(data):
    assert colour_of_jpeg(data, Colour.RGB) is Colour.RGB
