//! `wgconv filter` as a process: what it writes, what it says, and what it refuses.

use crate::common::cli::Folder;
use crate::npy;
use image::{GrayImage, Luma, LumaA, Rgb, RgbImage, Rgba, RgbaImage};
use wgconv::ndarray::array;

/// Status, standard output and standard error of `wgconv filter` with these arguments, in `folder`, on the CPU.
fn filter(folder: &Folder, arguments: &str) -> (i32, String, String) {
    let words = ["filter"].into_iter().chain(arguments.split(' ')).chain(["--device", "cpu"]);
    let ran = folder.run(&words.collect::<Vec<_>>());
    (ran.status, ran.out, ran.err)
}

fn writes(folder: &Folder, arguments: &str) -> String {
    let (status, out, err) = filter(folder, arguments);
    assert_eq!(status, 0, "{arguments}: {err}");
    out
}

/// The error's kind; nothing may have been written.
fn refuses(folder: &Folder, arguments: &str) -> String {
    let (status, out, err) = filter(folder, arguments);
    assert_eq!((status, out.as_str()), (1, ""), "{arguments}: {err}");
    assert!(!folder.exists("out.png"), "{arguments} left a file");
    let kind = err.strip_prefix("error[").and_then(|rest| rest.split_once("]: "));
    kind.unwrap_or_else(|| panic!("{arguments}: {err}")).0.to_owned()
}

#[test]
fn it_says_what_it_wrote() {
    let folder = Folder::default();
    RgbImage::from_pixel(7, 5, Rgb([10, 20, 30])).save(folder.path("in.png")).unwrap();
    let line = writes(&folder, "in.png --kernel gaussian:3 --boundary wrap --output out.png");
    let start = "out.png: 7 x 5, gaussian:3, boundary wrap, cpu, direct, total ";
    assert!(line.starts_with(start) && line.ends_with(" ms\n") && line.lines().count() == 1, "{line}");
    // A blur of sum 1 leaves a field as it is, whatever the boundary repeats.
    let out = image::open(folder.path("out.png")).unwrap();
    assert_eq!(out, RgbImage::from_pixel(7, 5, Rgb([10, 20, 30])).into());
    // Nothing else was left beside it.
    assert_eq!(folder.list(), ["in.png", "out.png"]);
}

#[test]
fn grey_pixels_are_what_the_formula_says() {
    let folder = Folder::default();
    GrayImage::from_fn(3, 1, |x, _| Luma([[0, 100, 200][x as usize]])).save(folder.path("in.png")).unwrap();
    let grey = |arguments: &str| {
        writes(&folder, &format!("in.png {arguments} --output out.png"));
        image::open(folder.path("out.png")).unwrap()
    };
    // A reflected row of one is the same row above and below: sobel_x sums 4 times the difference.
    let row = |values: [u8; 3]| GrayImage::from_fn(3, 1, |x, _| Luma([values[x as usize]])).into();
    assert_eq!(grey("--kernel sobel_x"), row([255, 255, 255]));
    assert_eq!(
        grey("--kernel sobel-x --boundary zero"),
        row([200, 255, 0]),
        "2·100, 2·200, −2·100 is clamped"
    );
    assert_eq!(grey("--kernel sobel_y"), row([0, 0, 0]));
    assert_eq!(grey("--kernel sobel --boundary mirror"), row([0, 255, 0]));
    assert_eq!(grey("--kernel box_blur:3 --boundary nearest"), row([33, 100, 167]));
    // Below and above it is `v`, left of the first it is `v`: 5·0 − 3·10 − 100 is clamped to 0, and so on.
    assert_eq!(grey("--kernel sharpen --boundary constant:10"), row([0, 255, 255]));
    let kernel = array![[0f32, 0., 1.]];
    npy::write(folder.path("k.npy"), kernel.view()).unwrap();
    assert_eq!(grey("--kernel file:k.npy --boundary wrap"), row([100, 200, 0]));
}

#[test]
fn the_magnitude_is_that_of_both_derivatives() {
    let folder = Folder::default();
    // Brightness 3·x + 4·y: derivatives 8·3 and 8·4 away from the border, so a magnitude of 8·5.
    GrayImage::from_fn(5, 5, |x, y| Luma([(3 * x + 4 * y) as u8])).save(folder.path("in.png")).unwrap();
    writes(&folder, "in.png --kernel sobel --output out.png");
    let out = image::open(folder.path("out.png")).unwrap().to_luma8();
    assert!((1..4).all(|y| (1..4).all(|x| out.get_pixel(x, y)[0] == 40)));
}

#[test]
fn transparency_stays() {
    let folder = Folder::default();
    let pixel = |x: u32, y: u32| Rgba([60, 120, 180, (100 * x + 50 * y) as u8]);
    RgbaImage::from_fn(2, 3, pixel).save(folder.path("in.png")).unwrap();
    writes(&folder, "in.png --kernel box_blur:5 --output out.png");
    assert_eq!(image::open(folder.path("out.png")).unwrap(), RgbaImage::from_fn(2, 3, pixel).into());

    let deep = image::ImageBuffer::from_fn(2, 2, |x, _| LumaA([0x8080u16, 0xffff * x as u16]));
    image::DynamicImage::ImageLumaA16(deep).save(folder.path("deep.png")).unwrap();
    writes(&folder, "deep.png --kernel gaussian:1 --output out8.png");
    let eight = image::GrayAlphaImage::from_fn(2, 2, |x, _| LumaA([0x80, 255 * x as u8]));
    assert_eq!(image::open(folder.path("out8.png")).unwrap(), eight.into());

    std::fs::remove_file(folder.path("out.png")).unwrap();
    assert_eq!(refuses(&folder, "in.png --kernel sharpen --output out.jpg"), "unsupported");
}

#[test]
fn jpegs_go_in_and_out() {
    let folder = Folder::default();
    RgbImage::from_pixel(16, 16, Rgb([200, 100, 50])).save(folder.path("in.jpg")).unwrap();
    for name in ["out.jpg", "out.JPEG", "again.png"] {
        writes(&folder, &format!("in.jpg --kernel gaussian:5 --output {name}"));
        let reader = image::ImageReader::open(folder.path(name)).unwrap().with_guessed_format().unwrap();
        let format = if name.ends_with("png") { image::ImageFormat::Png } else { image::ImageFormat::Jpeg };
        assert_eq!(reader.format(), Some(format), "{name}");
        let pixel = reader.decode().unwrap().to_rgb8().get_pixel(8, 8).0;
        let close = pixel.iter().zip([200u8, 100, 50]).all(|(a, b)| a.abs_diff(b) <= 4);
        assert!(close, "{name}: {pixel:?}");
    }
}

/// A chunk of a PNG.
fn chunk(kind: &[u8], data: &[u8]) -> Vec<u8> {
    let length = u32::try_from(data.len()).unwrap().to_be_bytes();
    let body = [kind, data].concat();
    let crc = body.iter().fold(!0u32, |crc, &byte| {
        let step = |crc: u32, _| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
        (0..8).fold(crc ^ u32::from(byte), step)
    });
    [&length[..], &body, &(!crc).to_be_bytes()].concat()
}

#[test]
fn damaged_pictures_are_bad_files() {
    let folder = Folder::default();
    let put = |name: &str, bytes: &[u8]| std::fs::write(folder.path(name), bytes).unwrap();
    RgbImage::from_fn(64, 64, |x, y| Rgb([(x * y) as u8, x as u8, y as u8]))
        .save(folder.path("good.png"))
        .unwrap();
    RgbImage::from_fn(64, 64, |x, y| Rgb([(x * y) as u8, x as u8, y as u8]))
        .save(folder.path("good.jpg"))
        .unwrap();
    for name in ["good.png", "good.jpg"] {
        let good = std::fs::read(folder.path(name)).unwrap();
        for part in [0, 1, 7, good.len() / 4, good.len() / 2, good.len() - 13] {
            put("cut", &good[..part]);
            let kind = refuses(&folder, "cut --kernel sharpen --output out.png");
            assert_eq!(kind, "bad_file", "{part} bytes of {name}");
        }
    }
    // A byte of the data: its checksum no longer fits.
    let mut bad = std::fs::read(folder.path("good.png")).unwrap();
    let middle = bad.len() / 2;
    bad[middle] ^= 0x55;
    put("bad.png", &bad);
    // Little files that claim to be huge pictures.
    for (name, extent) in [("wide.png", 100_000u32), ("huge.png", (1 << 31) - 1), ("none.png", 0)] {
        let header = [&extent.to_be_bytes()[..], &extent.to_be_bytes(), &[8, 2, 0, 0, 0]].concat();
        let data = [0x78, 0x9c, 0x63, 0x00, 0x00, 0x00, 0x01, 0x00, 0x01];
        put(
            name,
            &[
                &b"\x89PNG\r\n\x1a\n"[..],
                &chunk(b"IHDR", &header),
                &chunk(b"IDAT", &data),
                &chunk(b"IEND", b""),
            ]
            .concat(),
        );
    }
    put("text.png", b"not a picture\n");
    for name in ["bad.png", "wide.png", "huge.png", "none.png", "text.png", "."] {
        let kind = refuses(&folder, &format!("{name} --kernel sharpen --output out.png"));
        assert_eq!(kind, "bad_file", "{name}");
    }
}

#[test]
fn refusals_have_their_kinds() {
    let folder = Folder::default();
    GrayImage::new(4, 4).save(folder.path("in.png")).unwrap();
    npy::write(folder.path("line.npy"), array![1f32, 2., 3.].view()).unwrap();
    npy::write(folder.path("none.npy"), wgconv::ndarray::Array2::<f32>::zeros((0, 3)).view()).unwrap();
    std::fs::write(folder.path("text.npy"), "nothing").unwrap();
    for (arguments, kind) in [
        ("nowhere.png --kernel sharpen --output out.png", "io"),
        ("in.png --kernel sharpen --output nowhere/out.png", "io"),
        ("in.png --kernel file:nowhere.npy --output out.png", "io"),
        ("in.png --kernel file:text.npy --output out.png", "bad_file"),
        ("in.png --kernel file:line.npy --output out.png", "rank"),
        ("in.png --kernel file:none.npy --output out.png", "operand"),
        ("in.png --kernel sharpen --boundary constant:inf --output out.png", "non_finite"),
    ] {
        assert_eq!(refuses(&folder, arguments), kind, "{arguments}");
    }
    for arguments in [
        "in.png --kernel nothing --output out.png",
        "in.png --kernel gaussian:4 --output out.png",
        "in.png --kernel sharpen --boundary nothing --output out.png",
        "in.png --output out.png",
        "in.png --kernel sharpen --output out.gif",
        "in.png --kernel sharpen --output out",
        "in.png --kernel sharpen",
    ] {
        let (status, out, err) = filter(&folder, arguments);
        assert_eq!((status, out.as_str()), (2, ""), "{arguments}: {err}");
    }
    let (_, _, err) = filter(&folder, "in.png --kernel nothing --output out.png");
    assert!(err.contains("sobel_x") && err.contains("file:KERNEL.npy"), "{err}");
}
