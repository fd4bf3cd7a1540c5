"""PNG and JPEG."""

import io
import itertools
import struct
import zlib

import imagecodecs
import numpy as np
from common import ALL, by_pillow, ramp, save
from PIL import Image


def pngs():
    for mode, kinds in {"L": ["uint8"], "I;16": ["uint16"]}.items():
        image = ramp(kinds[0])
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, "PNG")
        data = buffer.getvalue()
        save(f"png_{kinds[0]}.png", data, image)
        with_chunks = data[:33] + chunk(b"gAMA", struct.pack(">I", 100000)) + chunk(b"sBIT", b"\5" if mode == "L" else b"\14") + data[33:]
        save(f"png_{kinds[0]}_gamma_sbit.png", with_chunks, image)
        save(f"png_{kinds[0]}_trns.png", data[:33] + chunk(b"tRNS", struct.pack(">H", int(image[0, 0]))) + data[33:], image)
    save("png_crc.png", data[:40] + bytes([data[40] ^ 1]) + data[41:], refused="corrupt")
    save("png_truncated.png", data[:-200], refused="ends early")
    frames = [Image.fromarray(ramp("uint8")) for _ in range(3)]
    buffer = io.BytesIO()
    frames[0].save(buffer, "PNG", save_all=True, append_images=frames[1:])
    save("png_animation.png", buffer.getvalue(), refused="3 frames in one file")
    for bits in (1, 2, 4):
        image = Image.fromarray((ramp("uint8") // 7 % (1 << bits)).astype("uint8")).convert("P")
        image.putpalette([v for i in range(256) for v in (i * 3 % 256, i * 5 % 256, i * 40 % 256)])
        buffer = io.BytesIO()
        image.save(buffer, "PNG", bits=bits)
        save(f"png_palette_{bits}bit.png", buffer.getvalue(), by_pillow(buffer.getvalue()))

def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

def encode(image, **options):
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", **options)
    return buffer.getvalue()

def jpegs():
    sizes = [(27, 43), (16, 16), (17, 33), (1, 1), (7, 5), (8, 2), (33, 3), (64, 130)] if ALL else [(27, 43)]
    for (height, width), quality in itertools.product(sizes, (30, 75, 98) if ALL else (75,)):
        image, colours = ramp("uint8", height, width), ramp("uint8", height, width, 3)
        flat = np.full((height, width), 77, "uint8")
        tag = f"{height}x{width}_{quality}"
        for progressive, restart in itertools.product((False, True), (0, 1, 3)):
            named = {"quality": quality, "progressive": progressive} | ({"restart_marker_blocks": restart} if restart else {})
            kind = "progressive" if progressive else "restart" if restart else "ordinary"
            suffix = f"{kind}_{restart}_{tag}"
            if ALL or restart != 1:
                for name, pixels in {"gray": image, "flat": flat}.items():
                    data = encode(pixels, **named)
                    save(f"jpeg_{name}_{suffix}.jpg", data, by_pillow(data))
                for sampling in ("4:4:4", "4:2:2", "4:2:0"):
                    data = encode(colours, subsampling=sampling, **named)
                    if ALL or sampling == "4:2:0":
                        save(f"jpeg_colour_{sampling.replace(':', '')}_{suffix}.jpg", data, by_pillow(data))
        for sampling in ("440", "411", "410", "441"):
            data = sampled(colours, sampling, quality)
            if data is not None and (ALL or sampling == "411"):
                kind = "ordinary_" if sampling == "440" else ""
                save(f"jpeg_colour_{sampling}_{kind}{tag}.jpg", data, by_pillow(data))
        data = encode(colours, quality=quality, keep_rgb=True)
        save(f"jpeg_rgb_{tag}.jpg", data, by_pillow(data))
        data = encode(image, quality=quality, optimize=True)
        save(f"jpeg_optimized_ordinary_{tag}.jpg", data, by_pillow(data))
    gray, colours = ramp("uint8", 27, 43), ramp("uint8", 27, 43, 3)
    save("jpeg_no_tables_and_restarts.jpg", without(encode(gray, restart_marker_blocks=4), 0xC4), by_pillow(encode(gray, restart_marker_blocks=4)))
    colour = encode(colours, subsampling="4:2:2")
    save("jpeg_mjpeg_colour.jpg", without(colour, 0xC4), by_pillow(colour))
    adobe = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00"
    for transform in (0, 1):
        changed = without(colour, 0xE0)
        changed = changed[:2] + adobe + bytes([transform]) + changed[2:]
        kind = "_ordinary" if transform == 1 else ""
        save(f"jpeg_adobe_{transform}{kind}.jpg", changed, by_pillow(changed))
        changed = colour[:2] + adobe + bytes([transform]) + colour[2:]
        save(f"jpeg_jfif_and_adobe_{transform}{kind}.jpg", changed, by_pillow(changed))
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encode(gray, exif=exif)
    save("jpeg_orientation_ordinary.jpg", data, by_pillow(data))
    save("jpeg_cmyk.jpg", encode_cmyk(), refused="4 components")
    for name, plain in {"gray": encode(gray), "colour": colour, "progressive": encode(gray, progressive=True), "restarts": encode(gray, restart_marker_blocks=5)}.items():
        start = plain.index(b"\xff\xda")
        for part in (2, 10, 30):
            cut = plain[: start + (len(plain) - start) * part // (part + 1)].rstrip(b"\xff")
            save(f"jpeg_{name}_cut_{part}.jpg", cut, refused="the JPEG")
            save(f"jpeg_{name}_cut_{part}_with_end.jpg", cut + b"\xff\xd9", refused="the JPEG")
        save(f"jpeg_{name}_without_end.jpg", plain[:-2], refused="ends early")
    restarts = encode(gray, restart_marker_blocks=5)
    for name, changed in {
        "lost": restarts.replace(b"\xff\xd2", b"\xff\xd3", 1),
        "interval_lost": restarts[: restarts.index(b"\xff\xd1")] + restarts[restarts.index(b"\xff\xd2") :],
        "removed": restarts.replace(b"\xff\xd2", b"", 1),
    }.items():
        save(f"jpeg_restart_{name}.jpg", changed, refused="corrupt")
    progressive = encode(gray, progressive=True)
    scans = [i for i in range(len(progressive) - 1) if progressive[i : i + 2] == b"\xff\xda"]
    save("jpeg_progressive_scan_lost.jpg", progressive[: scans[-1]] + b"\xff\xd9", refused="a scan is missing")
    plain = encode(gray)
    frame = plain.index(b"\xff\xc0")
    for name, marker, reason in (("lossless", 0xC3, "lossless"), ("arithmetic", 0xC9, "arithmetic coding"), ("hierarchical", 0xC5, "hierarchical")):
        save(f"jpeg_{name}.jpg", plain[: frame + 1] + bytes([marker]) + plain[frame + 2 :], refused=reason)
    save("jpeg_12bit.jpg", plain[: frame + 4] + b"\x0c" + plain[frame + 5 :], refused="12 bits")
    save("jpeg_dnl.jpg", plain[: frame + 5] + b"\0\0" + plain[frame + 7 :], refused="DNL")
    save("jpeg_extended_ordinary.jpg", plain[: frame + 1] + b"\xc1" + plain[frame + 2 :], by_pillow(plain))
    save("jpeg_two_images_ordinary.jpg", plain + encode(gray[::-1]), by_pillow(plain))
    with_h2v2 = plain[: frame + 11] + b"\x22" + plain[frame + 12 :]
    save("jpeg_gray_sampled.jpg", with_h2v2, by_pillow(with_h2v2))


def sampled(colours, subsampling, quality):
    """A JPEG with sampling factors that Pillow does not write; `None` if the library refuses the size."""
    try:
        return imagecodecs.jpeg8_encode(colours, level=quality, subsampling=subsampling)
    except (ValueError, imagecodecs.Jpeg8Error):
        return None


def without(data, marker):
    at = 2
    while data[at + 1] != 0xDA:
        size = 2 + struct.unpack(">H", data[at + 2 : at + 4])[0]
        if data[at + 1] == marker:
            data = data[:at] + data[at + size :]
        else:
            at += size
    return data

def encode_cmyk():
    buffer = io.BytesIO()
    Image.fromarray(ramp("uint8", channels=4), "CMYK").save(buffer, "JPEG")
    return buffer.getvalue()
