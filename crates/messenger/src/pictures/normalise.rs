use std::io::Cursor;

use http::StatusCode;
use image::codecs::jpeg::JpegEncoder;
use image::imageops::FilterType;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, Rgb, RgbImage};
use shared::problem::Problem;

/// Pixels of each side of a picture as it is kept, at most.
const SIDE: u32 = 256;
/// The quality of its JPEG, of 100: at this size nobody sees the difference to more.
const QUALITY: u8 = 85;
/// Pixels of each side of an upload, at most.
const MAX_SIDE: u32 = 10_000;
/// Pixels of an upload, at most: more than most telephones take.
const MAX_PIXELS: u64 = 25_000_000;
/// Bytes that decoding may take: those pixels with four channels, and some more.
const MAX_MEMORY: u64 = 128 * 1024 * 1024;

/// Why an upload does not become a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Its bytes are not those of a known type, whatever its name or header says.
    #[error("not a PNG, JPEG, GIF or WebP image")]
    Type,
    /// It begins like an image and does not go on like one.
    #[error("the image is broken")]
    Broken,
    /// It would take too much memory.
    #[error("the image has too many pixels")]
    Pixels,
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Type => Self::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_image",
                "Send a PNG, JPEG, GIF or WebP image.",
            ),
            Fault::Broken => Self::invalid().field("picture", "This image cannot be decoded."),
            Fault::Pixels => Self::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "too_many_pixels",
                "An image has at most 25 million pixels, and 10000 on each side.",
            ),
        }
    }
}

/// The picture as it is kept: a square JPEG of at most 256 pixels a side, cut from the middle, with nothing of the
/// upload in it but its pixels: no place, no comments, nothing hidden behind its end.
pub fn normalise(upload: &[u8]) -> Result<Vec<u8>, Fault> {
    let image = decode(upload)?;
    let side = image.width().min(image.height()).clamp(1, SIDE);
    let image = image.resize_to_fill(side, side, FilterType::Triangle);
    let mut jpeg = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut jpeg, QUALITY);
    on_white(&image).write_with_encoder(encoder).map_err(|_| Fault::Broken)?;
    Ok(jpeg)
}

/// Decodes the first frame, the right way up.
fn decode(upload: &[u8]) -> Result<DynamicImage, Fault> {
    let mut reader =
        ImageReader::new(Cursor::new(upload)).with_guessed_format().map_err(|_| Fault::Broken)?;
    let known = [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Gif, ImageFormat::WebP];
    if !reader.format().is_some_and(|format| known.contains(&format)) {
        return Err(Fault::Type);
    }
    let mut limits = Limits::no_limits();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_MEMORY);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(|error| fault(&error))?;
    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    // Known from the header, before any memory is taken.
    if pixels > MAX_PIXELS || decoder.total_bytes() > MAX_MEMORY {
        return Err(Fault::Pixels);
    }
    let orientation = decoder.orientation().map_err(|error| fault(&error))?;
    let mut image = DynamicImage::from_decoder(decoder).map_err(|error| fault(&error))?;
    image.apply_orientation(orientation);
    Ok(image)
}

fn fault(error: &image::ImageError) -> Fault {
    match error {
        image::ImageError::Limits(_) => Fault::Pixels,
        _ => Fault::Broken,
    }
}

/// JPEG has no transparency; what shines through is white.
fn on_white(image: &DynamicImage) -> RgbImage {
    let image = image.to_rgba8();
    RgbImage::from_fn(image.width(), image.height(), |x, y| {
        let [red, green, blue, alpha] = image.get_pixel(x, y).0.map(u16::from);
        let mix = |channel: u16| {
            u8::try_from((channel * alpha + 255 * (255 - alpha)) / 255).unwrap_or(u8::MAX)
        };
        Rgb([mix(red), mix(green), mix(blue)])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(width: u32, height: u32, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Vec::new();
        let image = DynamicImage::new_rgb8(width, height);
        image.write_to(&mut Cursor::new(&mut bytes), format).unwrap();
        bytes
    }

    #[test]
    fn every_known_type_becomes_a_small_square_jpeg() {
        for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Gif, ImageFormat::WebP] {
            for (width, height, side) in [(1, 1, 1), (300, 900, 256), (1000, 40, 40)] {
                let picture = normalise(&encoded(width, height, format)).unwrap();
                let reader = ImageReader::new(Cursor::new(&picture)).with_guessed_format().unwrap();
                assert_eq!(reader.format(), Some(ImageFormat::Jpeg));
                assert_eq!(reader.into_dimensions().unwrap(), (side, side), "{format:?}");
            }
        }
    }

    #[test]
    fn what_is_no_image_or_only_begins_like_one_is_refused() {
        for other in
            [&b"<html><script>"[..], b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"MZ\x90", b"BM"]
        {
            assert_eq!(normalise(other), Err(Fault::Type));
        }
        for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Gif, ImageFormat::WebP] {
            let whole = encoded(64, 64, format);
            for length in [12, whole.len() / 3] {
                assert!(normalise(&whole[..length]).is_err(), "{format:?} {length}");
            }
        }
    }

    #[test]
    fn a_bomb_is_refused_by_its_header() {
        // A PNG whose header promises 60000 by 60000 pixels, with the checksum that belongs to it.
        let mut png = encoded(1, 1, ImageFormat::Png);
        png[16..20].copy_from_slice(&60_000u32.to_be_bytes());
        png[20..24].copy_from_slice(&60_000u32.to_be_bytes());
        let crc = crc(&png[12..29]);
        png[29..33].copy_from_slice(&crc.to_be_bytes());
        assert_eq!(normalise(&png), Err(Fault::Pixels));
        assert_eq!(normalise(&encoded(9_000, 3_000, ImageFormat::Gif)), Err(Fault::Pixels));
    }

    /// The checksum of a PNG chunk (ISO 3309).
    fn crc(bytes: &[u8]) -> u32 {
        let step = |crc: u32, byte: &u8| {
            (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
                (crc >> 1) ^ (0xEDB8_8320 & 0u32.wrapping_sub(crc & 1))
            })
        };
        !bytes.iter().fold(u32::MAX, step)
    }
}
