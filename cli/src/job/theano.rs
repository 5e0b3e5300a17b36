//! The operations of [`wgconv::theano`], their operands and attributes under the original names.

mod table;

use wgconv::theano::{
    BilinearUpsampling, CausalConv1d, Conv3d, Conv3d2d, ConvFft, CorrMm, CudaConvnet, NnetConv, Ratio,
    SeparableConv, SignalConv2d,
};
use wgconv::{Error, ErrorKind, Operation, Padding, PerAxis};

use super::Build;
use super::padding::{border, border_mode};
use crate::failure::Failure;
use crate::json::{Object, integer, integers, wrong_type};
pub(super) use table::OPERATIONS;

fn steps(object: &Object, name: &str) -> Result<PerAxis, Failure> {
    Ok(object.per_axis(name, 1, ErrorKind::Stride)?.unwrap_or(PerAxis::Uniform(1)))
}

fn distances(object: &Object) -> Result<PerAxis, Failure> {
    Ok(object.per_axis("filter_dilation", 1, ErrorKind::Dilation)?.unwrap_or(PerAxis::Uniform(1)))
}

fn groups(object: &Object) -> Result<u64, Failure> {
    Ok(object.count("num_groups", 1, ErrorKind::Groups)?.unwrap_or(1))
}

fn flip(object: &Object) -> Result<bool, Failure> {
    Ok(object.boolean("filter_flip")?.unwrap_or(true))
}

/// The border of the operations that know two.
fn valid_or_full(object: &Object) -> Result<Padding, Failure> {
    let known = |name: &str| border(name).filter(|border| *border != Padding::Half);
    Ok(object.named("border_mode", "valid, full", known)?.unwrap_or_default())
}

fn missing(name: &str, wanted: &str) -> Failure {
    Failure::bad_job(format!("`{name}` is missing, wanted {wanted}"))
}

fn signal_conv2d(object: &Object) -> Result<Build, Failure> {
    let how = SignalConv2d {
        border_mode: valid_or_full(object)?,
        subsample: steps(object, "subsample")?,
        image_shape: object.hint("image_shape")?,
        filter_shape: object.hint("filter_shape")?,
    };
    Build::new(move |shapes| how.operation(&shapes[0], &shapes[1]))
}

/// The operation that parameters make of a rank and the shapes of two operands.
type Make<P> = fn(&P, usize, &[usize], &[usize]) -> Result<Operation, Error>;

/// All parameters but the declared shapes; `step` is what the operation calls its steps.
fn nnet_conv(object: &Object, step: &str) -> Result<NnetConv, Failure> {
    Ok(NnetConv {
        border_mode: border_mode(object)?,
        subsample: steps(object, step)?,
        filter_flip: flip(object)?,
        filter_dilation: distances(object)?,
        num_groups: groups(object)?,
        unshared: object.boolean("unshared")?.unwrap_or(false),
        ..NnetConv::default()
    })
}

fn nnet(object: &Object, rank: usize, make: Make<NnetConv>) -> Result<Build, Failure> {
    let mut how = nnet_conv(object, "subsample")?;
    how.input_shape = object.hint("input_shape")?;
    how.filter_shape = object.hint("filter_shape")?;
    Build::new(move |shapes| make(&how, rank, &shapes[0], &shapes[1]))
}

fn transpose(object: &Object, rank: usize) -> Result<Build, Failure> {
    let output_shape = object.hint("output_shape")?;
    let output_shape = output_shape.ok_or_else(|| missing("output_shape", "a list of extents"))?;
    let how = nnet_conv(object, "input_dilation")?;
    Build::new(move |shapes| how.transpose(rank, &shapes[0], &shapes[1], &output_shape))
}

fn separable(object: &Object, rank: usize) -> Result<Build, Failure> {
    let how = SeparableConv {
        num_channels: object.count("num_channels", 1, ErrorKind::Channels)?,
        border_mode: border_mode(object)?,
        subsample: steps(object, "subsample")?,
        filter_flip: flip(object)?,
        filter_dilation: distances(object)?,
    };
    Build::new(move |shapes| how.operation(rank, &shapes[0], &shapes[1], &shapes[2]))
}

fn causal(object: &Object) -> Result<Build, Failure> {
    let how = CausalConv1d {
        subsample: object.count("subsample", 1, ErrorKind::Stride)?.unwrap_or(1),
        filter_flip: flip(object)?,
        filter_dilation: object.count("filter_dilation", 1, ErrorKind::Dilation)?.unwrap_or(1),
        num_groups: groups(object)?,
        filter_shape: object.hint("filter_shape")?,
    };
    Build::new(move |shapes| how.operation(&shapes[0], &shapes[1]))
}

fn bilinear(object: &Object) -> Result<Build, Failure> {
    let wanted = "[p, q] or [[p, q], [p, q]] of whole numbers of at least 1";
    let ratio = match (object.get("ratio"), object.get("frac_ratio")) {
        (Some(value), None) => {
            let ratio = integer(value).and_then(|ratio| usize::try_from(ratio).ok());
            Ratio::Whole(ratio.ok_or_else(|| wrong_type("ratio", value, "a whole number of at least 1"))?)
        }
        (None, Some(value)) => {
            let fraction = |numbers: &[i128]| match numbers {
                [p, q] => Some((usize::try_from(*p).ok()?, usize::try_from(*q).ok()?)),
                _ => None,
            };
            let pairs = match (integers(value), value.as_array().map(Vec::as_slice)) {
                (Some(numbers), _) => fraction(&numbers).map(|pair| [pair; 2]),
                (None, Some([rows, columns])) => {
                    let of = |item| integers(item).and_then(|numbers| fraction(&numbers));
                    of(rows).zip(of(columns)).map(|(rows, columns)| [rows, columns])
                }
                _ => None,
            };
            Ratio::Fraction(pairs.ok_or_else(|| wrong_type("frac_ratio", value, wanted))?)
        }
        (Some(_), Some(_)) => {
            return Err(Failure::bad_job("`ratio` and `frac_ratio` are both there, wanted one"));
        }
        (None, None) => return Err(missing("ratio", "it or `frac_ratio`")),
    };
    let how = BilinearUpsampling { ratio, use_1d_kernel: object.boolean("use_1D_kernel")?.unwrap_or(true) };
    Build::new(move |shapes| how.operation(&shapes[0]))
}

fn fft(object: &Object, rank: usize) -> Result<Build, Failure> {
    let how = ConvFft {
        border_mode: valid_or_full(object)?,
        pad_last_dim: object.boolean("pad_last_dim")?.unwrap_or(false),
        image_shape: object.hint("image_shape")?,
        filter_shape: object.hint("filter_shape")?,
    };
    Build::new(move |shapes| how.operation(rank, &shapes[0], &shapes[1]))
}

fn conv3d(object: &Object) -> Result<Build, Failure> {
    let how = Conv3d { d: steps(object, "d")? };
    Build::new(move |shapes| how.forward(&shapes[0], &shapes[1], &shapes[2]))
}

fn conv_transp3d(object: &Object) -> Result<Build, Failure> {
    let how = Conv3d { d: steps(object, "d")? };
    let wrong = |value| wrong_type("RShape", value, "a list of extents, or one that begins with -1");
    // A first extent of -1 says that there is none.
    let r_shape = match object.get("RShape") {
        Some(value) if integers(value).is_some_and(|shape| shape.first() == Some(&-1)) => None,
        Some(value) => Some(object.extents("RShape").map_err(|_| wrong(value))?.unwrap_or_default()),
        None => None,
    };
    Build::new(move |shapes| how.transposed(&shapes[0], &shapes[1], &shapes[2], r_shape.as_deref()))
}

fn conv_grad3d(object: &Object) -> Result<Build, Failure> {
    let how = Conv3d { d: steps(object, "d")? };
    let shape = object.extents("WShape")?.ok_or_else(|| missing("WShape", "a list of extents"))?;
    Build::new(move |shapes| how.grad_weights(&shapes[0], &shapes[1], &shape))
}

fn conv3d2d(object: &Object) -> Result<Build, Failure> {
    let wanted = "valid, full or half, or a list of three of them";
    let name = |value: &serde_json::Value| value.as_str().and_then(border);
    let border_mode = match object.get("border_mode") {
        None => [const { Padding::Valid }; 3],
        Some(value) => {
            let wrong = || wrong_type("border_mode", value, wanted);
            match value.as_array().map(Vec::as_slice) {
                None => name(value).map(|border| Conv3d2d::from(border).border_mode).ok_or_else(wrong)?,
                Some(items) => {
                    let borders: Option<Vec<_>> = items.iter().map(name).collect();
                    borders.and_then(|borders| borders.try_into().ok()).ok_or_else(wrong)?
                }
            }
        }
    };
    let how = Conv3d2d {
        border_mode,
        signals_shape: object.hint("signals_shape")?,
        filters_shape: object.hint("filters_shape")?,
    };
    Build::new(move |shapes| how.operation(&shapes[0], &shapes[1]))
}

fn cuda_convnet(object: &Object) -> Result<CudaConvnet, Failure> {
    let partial_sum = object.count("partial_sum", 0, ErrorKind::BadJob)?;
    Ok(CudaConvnet {
        pad: object.per_axis("pad", 0, ErrorKind::Padding)?.unwrap_or(PerAxis::Uniform(0)),
        stride: steps(object, "stride")?,
        partial_sum: partial_sum.map(|sum| usize::try_from(sum).unwrap_or(usize::MAX)),
        num_groups: groups(object)?,
    })
}

fn filter_acts(object: &Object) -> Result<Build, Failure> {
    let how = cuda_convnet(object)?;
    Build::new(move |shapes| how.filter_acts(&shapes[0], &shapes[1]))
}

fn image_acts(object: &Object) -> Result<Build, Failure> {
    let (how, shape) = (cuda_convnet(object)?, object.extents("output_shape")?);
    Build::new(move |shapes| how.image_acts(&shapes[0], &shapes[1], shape.as_deref()))
}

fn weight_acts(object: &Object) -> Result<Build, Failure> {
    let (how, shape) = (cuda_convnet(object)?, object.extents("output_shape")?);
    let shape = shape.ok_or_else(|| missing("output_shape", "[rows, columns] of the filters"))?;
    Build::new(move |shapes| how.weight_acts(&shapes[0], &shapes[1], &shape))
}

fn corr(object: &Object, rank: usize, make: Make<CorrMm>) -> Result<Build, Failure> {
    let how = CorrMm {
        border_mode: border_mode(object)?,
        subsample: steps(object, "subsample")?,
        filter_dilation: distances(object)?,
        num_groups: groups(object)?,
        unshared: object.boolean("unshared")?.unwrap_or(false),
        shape: object.extents("shape")?,
    };
    Build::new(move |shapes| make(&how, rank, &shapes[0], &shapes[1]))
}
