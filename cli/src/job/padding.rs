//! The fields that say how far a kernel reaches past the input.

use serde_json::Value;
use wgconv::{ErrorKind, Padding};

use crate::failure::Failure;
use crate::json::{Object, integer, integers, wrong_type};

/// `padding`: a name, `p`, `[p, ..]` or `[[begin, end], ..]`, where only an end may be negative.
pub(super) fn padding(object: &Object) -> Result<Option<Padding>, Failure> {
    let names = "valid, full, half, same, same_upper, same_lower, same_centered";
    numbers_or_name(object, "padding", names, Padding::from_name, true)
}

/// `border_mode` of Theano: a name, `p`, or a list of `p` or `[begin, end]` per axis; nothing negative.
pub(super) fn border_mode(object: &Object) -> Result<Padding, Failure> {
    let known = numbers_or_name(object, "border_mode", "valid, full, half", border, false)?;
    Ok(known.unwrap_or_default())
}

/// The name of one of Theano's borders.
pub(super) fn border(name: &str) -> Option<Padding> {
    ["valid", "full", "half"].contains(&name).then(|| Padding::from_name(name)).flatten()
}

fn numbers_or_name(
    object: &Object,
    name: &str,
    names: &str,
    known: fn(&str) -> Option<Padding>,
    negative_end: bool,
) -> Result<Option<Padding>, Failure> {
    let Some(value) = object.get(name) else { return Ok(None) };
    if value.is_string() {
        return object.named(name, names, known);
    }
    if let Some(cells) = integer(value) {
        return begin(name, cells).map(|cells| Some(Padding::Symmetric(cells)));
    }
    let wrong = || wrong_type(name, value, &format!("{names}, p, [p, ..] or [[begin, end], ..]"));
    let items = value.as_array().ok_or_else(wrong)?;
    let pair = |item: &Value| -> Result<(u64, i64), Failure> {
        let numbers =
            integer(item).map(|cells| vec![cells; 2]).or_else(|| integers(item)).ok_or_else(wrong)?;
        let [first, last] = numbers[..] else {
            let message = format!("`{name}` of an axis has {} numbers, wanted [begin, end]", numbers.len());
            return Err(Failure::new(ErrorKind::Padding, message));
        };
        if last < 0 && !negative_end {
            begin(name, last)?;
        }
        // An end past i64 is past every limit: saturating keeps it refused as an overflow.
        Ok((begin(name, first)?, i64::try_from(last).unwrap_or(i64::MAX)))
    };
    // One kind or the other for `padding`; Theano lets each axis have its own.
    let singles = items.iter().filter(|item| integer(item).is_some()).count();
    if negative_end && singles > 0 && singles < items.len() {
        return Err(wrong());
    }
    Ok(Some(Padding::Explicit(items.iter().map(pair).collect::<Result<_, _>>()?)))
}

fn begin(name: &str, cells: i128) -> Result<u64, Failure> {
    u64::try_from(cells).map_err(|_| {
        let message = format!(
            "`{name}` has {cells} cells, wanted at least 0 (only the end of `padding` may be negative)"
        );
        Failure::new(ErrorKind::Padding, message)
    })
}
