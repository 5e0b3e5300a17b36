//! The kernels of [`wgconv::filters`] by name.

use wgconv::filters::{self, FilterError};
use wgconv::ndarray::Array2;

/// What [`from_name`] understands, one entry per kernel.
pub(crate) const NAMES: [&str; 7] =
    ["gaussian:SIZE[:SIGMA]", "box_blur:SIZE", "sharpen", "sobel_x", "sobel_y", "emboss", "laplacian"];

/// Why a name makes no kernel.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(crate) enum NameError {
    /// No kernel has this name.
    #[error("no filter is called {name:?}, wanted one of {}", NAMES.join(", "))]
    Unknown {
        /// What came.
        name: String,
    },
    /// The numbers after a name are missing, superfluous or no numbers.
    #[error("filter {given:?}: wanted {wanted}")]
    Numbers {
        /// What came.
        given: String,
        /// The name with its numbers.
        wanted: &'static str,
    },
    /// The numbers make no kernel.
    #[error(transparent)]
    Filter(#[from] FilterError),
}

/// The kernel called `name`: one of [`NAMES`], the numbers after colons. `gaussian:5`, `gaussian:9:2.5`, `sobel_x`.
///
/// # Errors
///
/// See [`NameError`].
pub(crate) fn from_name(name: &str) -> Result<Array2<f32>, NameError> {
    let (word, rest) = name.split_once(':').map_or((name, None), |(word, rest)| (word, Some(rest)));
    let numbers: Vec<&str> = rest.map_or(Vec::new(), |rest| rest.split(':').collect());
    let unknown = || NameError::Unknown { name: name.to_owned() };
    let wanted = NAMES.into_iter().find(|n| n.split(':').next() == Some(word)).ok_or_else(unknown)?;
    let wrong = || NameError::Numbers { given: name.to_owned(), wanted };
    let size = |text: &str| text.parse::<usize>().map_err(|_| wrong());
    match (word, numbers.as_slice()) {
        ("gaussian", [n]) => Ok(filters::gaussian(size(n)?, None)?),
        ("gaussian", [n, sigma]) => {
            Ok(filters::gaussian(size(n)?, Some(sigma.parse().map_err(|_| wrong())?))?)
        }
        ("box_blur", [n]) => Ok(filters::box_blur(size(n)?)?),
        ("sharpen", []) => Ok(filters::sharpen()),
        ("sobel_x", []) => Ok(filters::sobel_x()),
        ("sobel_y", []) => Ok(filters::sobel_y()),
        ("emboss", []) => Ok(filters::emboss()),
        ("laplacian", []) => Ok(filters::laplacian()),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_give_the_kernels() {
        assert_eq!(from_name("gaussian:7").unwrap(), filters::gaussian(7, None).unwrap());
        assert_eq!(from_name("gaussian:7:2.5").unwrap(), filters::gaussian(7, Some(2.5)).unwrap());
        assert_eq!(from_name("box_blur:3").unwrap(), filters::box_blur(3).unwrap());
        assert!(matches!(from_name("gaussian:4"), Err(NameError::Filter(FilterError::Size { .. }))));
        for (name, kernel) in [
            ("sharpen", filters::sharpen()),
            ("sobel_x", filters::sobel_x()),
            ("sobel_y", filters::sobel_y()),
            ("emboss", filters::emboss()),
            ("laplacian", filters::laplacian()),
        ] {
            assert_eq!(from_name(name), Ok(kernel), "{name}");
        }
        // Every listed name is understood once its numbers are put in.
        for name in NAMES {
            let filled = name.replace("[:SIGMA]", ":1.5").replace("SIZE", "3");
            assert!(from_name(&filled).is_ok(), "{filled}");
        }
    }

    #[test]
    fn refusals_say_what_was_wanted() {
        let message = from_name("gausian:5").unwrap_err().to_string();
        assert!(NAMES.iter().all(|name| message.contains(name)), "{message}");
        for name in ["gaussian", "gaussian:", "gaussian:five", "gaussian:-3", "gaussian:3:", "gaussian:3:1:1"]
        {
            let refused = from_name(name).unwrap_err();
            let wanted = "gaussian:SIZE[:SIGMA]";
            assert_eq!(refused, NameError::Numbers { given: name.into(), wanted });
        }
        assert!(matches!(from_name("sharpen:3"), Err(NameError::Numbers { .. })));
        assert!(matches!(from_name(""), Err(NameError::Unknown { .. })));
    }
}
