//! `wgconv filter`: a named kernel over a picture.

use std::fs;
use std::io::{self, Cursor, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use image::codecs::{jpeg::JpegEncoder, png::PngEncoder};
use image::{DynamicImage, ExtendedColorType, ImageDecoder, ImageEncoder, ImageError, ImageReader};
use wgconv::ndarray::{Array2, Array4, ArrayD, Axis, Ix2, stack};
use wgconv::{
    Boundary, Conv, ConvProblem, Device, ErrorKind, Operands, Padding, Plan, PlanOptions, Timing, filters,
};

use crate::failure::{Failure, npy_kind};
use crate::job::How;
use crate::kernels::{self, NameError};
use crate::npy::{self, NpyError};
use crate::{Outcome, output, unusable};

/// Quality of a JPEG that is written, of 100.
const JPEG_QUALITY: u8 = 92;
/// Longest picture file that is read by default, in bytes; decoded, a picture may take as much again.
const MAX_BYTES: u64 = 512 << 20;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The picture: PNG or JPEG
    input: PathBuf,
    /// gaussian:SIZE[:SIGMA], box_blur:SIZE, sharpen, sobel_x, sobel_y, sobel (the magnitude of both),
    /// emboss, laplacian, or file:KERNEL.npy (two axes)
    #[arg(long, value_parser = KernelArg::parse)]
    kernel: KernelArg,
    /// What lies outside the picture: zero, constant:V, wrap, reflect, mirror or nearest
    #[arg(long, default_value = "reflect", value_parser = boundary)]
    boundary: Boundary,
    /// Where the result goes: .png, .jpg or .jpeg
    #[arg(long, value_parser = output_path)]
    output: PathBuf,
    /// auto (a GPU if there is one, else the CPU), cpu, gpu, or part of an adapter's name
    #[arg(long)]
    device: Option<String>,
    /// Largest file that is read, and largest picture in memory, in bytes
    #[arg(long, alias = "max_bytes", default_value_t = MAX_BYTES)]
    max_bytes: u64,
}

/// Why a picture was not filtered.
#[derive(Debug, thiserror::Error)]
enum FilterError {
    #[error(transparent)]
    Conv(#[from] wgconv::Error),
    #[error(transparent)]
    Npy(#[from] NpyError),
    #[error("{}: cannot {action}: {error}", path.display())]
    Io { path: PathBuf, action: &'static str, error: io::Error },
    #[error("{}: {error}", path.display())]
    Decode { path: PathBuf, error: ImageError },
    #[error("{}: the JPEG data end before the picture does", path.display())]
    Truncated { path: PathBuf },
    #[error("{}: wanted a regular file", path.display())]
    NotRegular { path: PathBuf },
    #[error("{}: wanted a picture of at most {most} bytes (--max-bytes)", path.display())]
    TooLarge { path: PathBuf, most: u64 },
    #[error("{}: wanted a kernel of 2 axes, found shape {shape:?}", path.display())]
    KernelAxes { path: PathBuf, shape: Vec<usize> },
    #[error("{}: a JPEG has no transparency, and the picture does: write a .png", path.display())]
    Alpha { path: PathBuf },
    #[error("{}: {error}", path.display())]
    Encode { path: PathBuf, error: ImageError },
}

impl FilterError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Conv(e) => e.kind(),
            Self::Npy(e) => npy_kind(e),
            Self::Io { .. } => ErrorKind::Io,
            // The file was read before it was decoded, so an input error of the decoder is one of content.
            Self::Decode { .. } | Self::Truncated { .. } => ErrorKind::BadFile,
            Self::NotRegular { .. } => ErrorKind::BadFile,
            Self::TooLarge { .. } => ErrorKind::LimitExceeded,
            Self::KernelAxes { .. } => ErrorKind::Rank,
            Self::Alpha { .. } | Self::Encode { .. } => ErrorKind::Unsupported,
        }
    }
}

impl From<FilterError> for Failure {
    fn from(error: FilterError) -> Self {
        Self::new(error.kind(), error.to_string())
    }
}

/// What `--kernel` names.
#[derive(Clone, Debug)]
enum KernelArg {
    Named { name: String, kernel: Array2<f32> },
    Sobel,
    File(PathBuf),
}

impl KernelArg {
    fn parse(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("file:") {
            return Ok(Self::File(path.into()));
        }
        // On the command line a name may be written with either; in a sigma `-` would be a sign.
        let (word, numbers) = text.split_at(text.find(':').unwrap_or(text.len()));
        let name = word.replace('-', "_") + numbers;
        if name == "sobel" {
            return Ok(Self::Sobel);
        }
        match kernels::from_name(&name) {
            Ok(kernel) => Ok(Self::Named { name, kernel }),
            Err(e @ NameError::Unknown { .. }) => Err(format!("{e}, sobel, file:KERNEL.npy")),
            Err(e) => Err(e.to_string()),
        }
    }

    /// The kernels to run side by side: one, or the two whose magnitude is taken.
    fn load(&self, max_bytes: u64) -> Result<Vec<Array2<f32>>, FilterError> {
        let path = match self {
            Self::Named { kernel, .. } => return Ok(vec![kernel.clone()]),
            Self::Sobel => return Ok(vec![filters::sobel_x(), filters::sobel_y()]),
            Self::File(path) => path,
        };
        let error = |e: NpyError| FilterError::from(e.at(path));
        let kernel = npy::read(path, &npy::Limits { max_bytes, ..npy::Limits::default() })
            .map_err(error)?
            .to_f32()
            .map_err(error)?;
        let shape = kernel.shape().to_vec();
        let kernel = kernel.into_dimensionality::<Ix2>();
        Ok(vec![kernel.map_err(|_| FilterError::KernelAxes { path: path.clone(), shape })?])
    }
}

impl std::fmt::Display for KernelArg {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Named { name, .. } => f.write_str(name),
            Self::Sobel => f.write_str("sobel"),
            Self::File(path) => write!(f, "file:{}", path.display()),
        }
    }
}

fn boundary(name: &str) -> Result<Boundary, String> {
    Boundary::from_name(name)
        .ok_or_else(|| "wanted zero, constant:V, wrap, reflect, mirror or nearest".to_owned())
}

pub(crate) fn run(args: &Options) -> Result<Outcome, Failure> {
    let how = match How::new(&[("device", args.device.as_deref())]) {
        Ok(how) => how,
        Err(failure) => return Ok(unusable(&failure.message)),
    };
    output::say(&filter(args, &how)?)?;
    Ok(Outcome::Succeeded)
}

fn output_path(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    match Format::of(&path) {
        Some(_) => Ok(path),
        None => Err("wanted a name that ends in .png, .jpg or .jpeg".to_owned()),
    }
}

/// Reads, filters, writes, and says so in one line.
fn filter(args: &Options, how: &How) -> Result<String, FilterError> {
    // The name was refused before if it has none.
    let format = Format::of(&args.output).unwrap_or(Format::Png);
    let kernels = args.kernel.load(args.max_bytes)?;
    let picture = Picture::read(&args.input, args.max_bytes)?;
    if picture.alpha.is_some() && format == Format::Jpeg {
        return Err(FilterError::Alpha { path: args.output.clone() });
    }
    let device = Device::open(&how.device)?;
    let (result, plan, timing) = convolve(&device, &how.options(), &picture, &kernels, args.boundary)?;
    let (width, height) = (picture.width, picture.height);
    let picture = picture.with_colour(&result)?;
    let mut refused = None;
    let written = npy::write_whole(&args.output, |file| {
        let mut file = io::BufWriter::new(file);
        match format.encode(&mut file, &picture) {
            Ok(()) => file.flush(),
            Err(ImageError::IoError(error)) => Err(error),
            Err(other) => Err(io::Error::other(refused.insert(other).to_string())),
        }
    });
    if let Some(error) = refused {
        return Err(FilterError::Encode { path: args.output.clone(), error });
    }
    written?;
    Ok(format!(
        "{}: {width} x {height}, {}, boundary {}, {}, {}, {}",
        output::shown(&args.output.display().to_string()),
        output::shown(&args.kernel.to_string()),
        args.boundary.name(),
        plan.device_name(),
        plan.algorithm(),
        milliseconds(&timing),
    ))
}

fn milliseconds(timing: &Timing) -> String {
    let ms = |d: Duration| d.as_secs_f64() * 1e3;
    let kernels = timing.device.map_or(String::new(), |d| format!("kernels {:.3} ms, ", ms(d)));
    format!("{kernels}total {:.1} ms", ms(timing.total))
}

/// Every channel is an image of the batch, every kernel an output channel: `[channels, kernels, H, W]`.
fn convolve(
    device: &Device,
    options: &PlanOptions,
    picture: &Picture,
    kernels: &[Array2<f32>],
    boundary: Boundary,
) -> Result<(ArrayD<f32>, Plan, Timing), FilterError> {
    let conv = Conv::default().padding(Padding::SameCentered).boundary(boundary);
    let [h, w] = [kernels[0].nrows(), kernels[0].ncols()];
    let shape = [picture.colours, 1, picture.height, picture.width];
    let problem = ConvProblem::new(&shape, &[kernels.len(), 1, h, w], &conv).map_err(wgconv::Error::from)?;
    let plan = device.plan(&problem, options)?;
    let views: Vec<_> = kernels.iter().map(|k| k.view()).collect();
    // No panic: there is a kernel, and two of them have one shape.
    let weight = stack(Axis(0), &views).expect("kernels of one shape").insert_axis(Axis(1));
    let input = picture.planes()?;
    let operands = Operands { input: input.view(), weight: weight.view().into(), ..Default::default() };
    let (result, timing) = plan.run_timed(operands)?;
    Ok((result, plan, timing))
}

/// A picture in 8 bits per channel: its colour channels interleaved, and its transparency apart.
struct Picture {
    width: usize,
    height: usize,
    /// 1 (grey) or 3 (red, green, blue).
    colours: usize,
    colour: Vec<u8>,
    alpha: Option<Vec<u8>>,
}

impl Picture {
    fn read(path: &Path, max_bytes: u64) -> Result<Self, FilterError> {
        let io = |action| move |error| FilterError::Io { path: path.to_owned(), action, error };
        let decode = |error| FilterError::Decode { path: path.to_owned(), error };
        // Asked before opening, because opening a named pipe waits for its other end.
        let metadata = fs::metadata(path).map_err(io("open"))?;
        if !metadata.is_file() {
            return Err(FilterError::NotRegular { path: path.to_owned() });
        }
        // What a file says of its length need not be so: the system's own files say 0.
        let mut bytes = Vec::new();
        let length = metadata.len().min(max_bytes);
        wgconv::reserve("the file", length)?;
        let full = |_| wgconv::Error::OutOfMemory { what: "the file", bytes: length };
        bytes.try_reserve_exact(usize::try_from(length).unwrap_or(usize::MAX)).map_err(full)?;
        let file = fs::File::open(path).map_err(io("open"))?;
        file.take(max_bytes.saturating_add(1)).read_to_end(&mut bytes).map_err(io("read"))?;
        if bytes.len() as u64 > max_bytes {
            return Err(FilterError::TooLarge { path: path.to_owned(), most: max_bytes });
        }
        let reader = ImageReader::new(Cursor::new(&bytes)).with_guessed_format().map_err(io("read"))?;
        let is_jpeg = reader.format() == Some(image::ImageFormat::Jpeg);
        // The decoder fills what is missing of a JPEG with grey.
        if is_jpeg && !jpeg_is_whole(&bytes) {
            return Err(FilterError::Truncated { path: path.to_owned() });
        }
        // For the picture and what decoding it takes.
        let mut decoder = reader.into_decoder().map_err(decode)?;
        let mut limits = image::Limits::default();
        limits.max_alloc = Some(max_bytes);
        limits.reserve(decoder.total_bytes()).map_err(decode)?;
        decoder.set_limits(limits).map_err(decode)?;
        // The picture, and what it is converted to; the decoder itself would end the program.
        wgconv::reserve("the picture", decoder.total_bytes().saturating_mul(3))?;
        let orientation = decoder.orientation().map_err(decode)?;
        let mut image = DynamicImage::from_decoder(decoder).map_err(decode)?;
        image.apply_orientation(orientation);
        Ok(Self::from_image(image)?)
    }

    fn from_image(image: DynamicImage) -> Result<Self, wgconv::Error> {
        let (width, height) = (image.width() as usize, image.height() as usize);
        let colour = image.color();
        let (colours, interleaved) = match (colour.has_color(), colour.has_alpha()) {
            (false, false) => (1, image.into_luma8().into_raw()),
            (false, true) => (1, image.into_luma_alpha8().into_raw()),
            (true, false) => (3, image.into_rgb8().into_raw()),
            (true, true) => (3, image.into_rgba8().into_raw()),
        };
        if !colour.has_alpha() {
            return Ok(Self { width, height, colours, colour: interleaved, alpha: None });
        }
        wgconv::reserve("the picture without its transparency", interleaved.len() as u64)?;
        let pixels = || interleaved.chunks_exact(colours + 1);
        let mut alpha = Vec::with_capacity(width * height);
        alpha.extend(pixels().map(|pixel| pixel[colours]));
        let mut colour = Vec::with_capacity(width * height * colours);
        colour.extend(pixels().flat_map(|pixel| &pixel[..colours]));
        Ok(Self { width, height, colours, colour, alpha: Some(alpha) })
    }

    /// `[channels, 1, H, W]`
    fn planes(&self) -> Result<Array4<f32>, wgconv::Error> {
        let mut values = Vec::new();
        let bytes = self.colour.len() as u64 * 4;
        wgconv::reserve("the picture as numbers", bytes)?;
        let full = |_| wgconv::Error::OutOfMemory { what: "the picture as numbers", bytes };
        values.try_reserve_exact(self.colour.len()).map_err(full)?;
        for channel in 0..self.colours {
            values.extend(self.colour.iter().skip(channel).step_by(self.colours).map(|&v| f32::from(v)));
        }
        let shape = (self.colours, 1, self.height, self.width);
        // No panic: as many values as the shape has cells.
        Ok(Array4::from_shape_vec(shape, values).expect("a value for each cell"))
    }

    /// The result `[channels, kernels, H, W]` as pixels, rounded and clamped to 0..=255, with this
    /// picture's transparency. Of two kernels it is the magnitude.
    fn with_colour(&self, result: &ArrayD<f32>) -> Result<Encodable, wgconv::Error> {
        let kernels = result.shape()[1];
        let size = self.width * self.height;
        // No panic: a result lies in order.
        let planes = result.as_slice().expect("a result in order");
        let value = |channel: usize, pixel: usize| {
            let at = channel * kernels * size + pixel;
            if kernels == 1 { planes[at] } else { planes[at].hypot(planes[at + size]) }
        };
        let mut pixels = Vec::new();
        let samples = size * (self.colours + usize::from(self.alpha.is_some()));
        wgconv::reserve("the picture", samples as u64)?;
        let full = |_| wgconv::Error::OutOfMemory { what: "the picture", bytes: samples as u64 };
        pixels.try_reserve_exact(samples).map_err(full)?;
        for pixel in 0..size {
            // The cast saturates, so it clamps; a NaN becomes black.
            pixels.extend((0..self.colours).map(|channel| value(channel, pixel).round() as u8));
            pixels.extend(self.alpha.iter().map(|alpha| alpha[pixel]));
        }
        let colour = match (self.colours, self.alpha.is_some()) {
            (1, false) => ExtendedColorType::L8,
            (1, true) => ExtendedColorType::La8,
            (_, false) => ExtendedColorType::Rgb8,
            (_, true) => ExtendedColorType::Rgba8,
        };
        Ok(Encodable { pixels, width: self.width as u32, height: self.height as u32, colour })
    }
}

/// Whether the picture's last scan ends with the marker that ends a JPEG. Inside a scan a byte of 255 is
/// followed by 0 unless it begins a marker, so no data is mistaken for one.
fn jpeg_is_whole(bytes: &[u8]) -> bool {
    let scan = bytes.windows(2).rposition(|pair| pair == [0xff, 0xda]);
    scan.is_some_and(|at| bytes[at..].windows(2).any(|pair| pair == [0xff, 0xd9]))
}

/// Interleaved pixels, ready to be encoded.
struct Encodable {
    pixels: Vec<u8>,
    width: u32,
    height: u32,
    colour: ExtendedColorType,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Png,
    Jpeg,
}

impl Format {
    fn of(path: &Path) -> Option<Self> {
        let extension = path.extension().map(|e| e.to_string_lossy().to_lowercase());
        match extension.as_deref() {
            Some("png") => Some(Self::Png),
            Some("jpg" | "jpeg") => Some(Self::Jpeg),
            _ => None,
        }
    }

    fn encode(self, to: &mut impl Write, picture: &Encodable) -> Result<(), ImageError> {
        let Encodable { pixels, width, height, colour } = picture;
        match self {
            Self::Png => PngEncoder::new(to).write_image(pixels, *width, *height, *colour),
            Self::Jpeg => {
                JpegEncoder::new_with_quality(to, JPEG_QUALITY).write_image(pixels, *width, *height, *colour)
            }
        }
    }
}
