//! One JSON object as a list of fields, and typed access to them.

use std::fmt;
use std::path::PathBuf;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::Value;
use wgconv::{ErrorKind, PerAxis};

use crate::failure::Failure;

/// The fields of an object in their order. A `serde_json::Map` would drop all but the last of a
/// name that comes twice; here that is an error.
#[derive(Clone, Debug, Default)]
pub(crate) struct Object(pub(crate) Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Object;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let mut fields: Vec<(String, Value)> = Vec::new();
                while let Some(name) = map.next_key::<String>()? {
                    if fields.iter().any(|(other, _)| *other == name) {
                        return Err(A::Error::custom(format!("field {} comes twice", quoted(&name))));
                    }
                    // Past what any job has, so that comparing names stays cheap.
                    if fields.len() >= 100 {
                        return Err(A::Error::custom("more than 100 fields"));
                    }
                    fields.push((name, map.next_value()?));
                }
                Ok(Object(fields))
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

/// Asks for the memory of what a text in JSON becomes. A number of one digit and its comma take 72 bytes, in a vector that
/// grows by doubling.
pub(crate) fn reserve(what: &'static str, text: &[u8]) -> Result<(), Failure> {
    Ok(wgconv::reserve(what, (text.len() as u64).saturating_mul(128))?)
}

/// The text in quotes, shortened if long.
pub(crate) fn quoted(text: &str) -> String {
    shortened(&Value::from(text).to_string())
}

fn shortened(text: &str) -> String {
    const MOST: usize = 80;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

pub(crate) fn wrong_type(name: &str, value: &Value, wanted: &str) -> Failure {
    Failure::bad_job(format!("`{name}` is {}, wanted {wanted}", shortened(&value.to_string())))
}

impl Object {
    /// The value of a field; `null` counts as absent.
    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, value)| value).filter(|value| !value.is_null())
    }

    pub(crate) fn text(&self, name: &str) -> Result<Option<&str>, Failure> {
        let text = |value: &'_ Value| wrong_type(name, value, "a string");
        self.get(name).map(|value| value.as_str().ok_or_else(|| text(value))).transpose()
    }

    /// The value that `parse` finds in a text; `wanted` says which texts it knows.
    pub(crate) fn named<T>(
        &self,
        name: &str,
        wanted: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, Failure> {
        let unknown = |text: &str| Failure::bad_job(format!("`{name}` is {}, wanted {wanted}", quoted(text)));
        self.text(name)?.map(|text| parse(text).ok_or_else(|| unknown(text))).transpose()
    }

    /// What `parse` finds in each of a list of texts; `wanted` says what that is.
    pub(crate) fn names<T>(
        &self,
        name: &str,
        wanted: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<Vec<T>>, Failure> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let list = value
            .as_array()
            .and_then(|list| list.iter().map(|text| parse(text.as_str()?)).collect::<Option<Vec<_>>>());
        list.map(Some).ok_or_else(|| wrong_type(name, value, wanted))
    }

    pub(crate) fn path(&self, name: &str) -> Result<Option<PathBuf>, Failure> {
        self.named(name, "a path", |text| (!text.is_empty()).then(|| PathBuf::from(text)))
    }

    pub(crate) fn required_path(&self, name: &str) -> Result<PathBuf, Failure> {
        self.path(name)?.ok_or_else(|| Failure::bad_job(format!("`{name}` is missing, wanted a path")))
    }

    pub(crate) fn boolean(&self, name: &str) -> Result<Option<bool>, Failure> {
        let wrong = |value: &Value| wrong_type(name, value, "true or false");
        self.get(name).map(|value| value.as_bool().ok_or_else(|| wrong(value))).transpose()
    }

    /// An integer of at least `least`; a smaller one is an error of `kind`.
    pub(crate) fn count(&self, name: &str, least: u64, kind: ErrorKind) -> Result<Option<u64>, Failure> {
        self.get(name)
            .map(|value| {
                let number = integer(value).ok_or_else(|| wrong_type(name, value, "an integer"))?;
                at_least(name, number, least, kind)
            })
            .transpose()
    }

    /// An integer for all axes or a list of one each, none below `least`.
    pub(crate) fn per_axis(
        &self,
        name: &str,
        least: u64,
        kind: ErrorKind,
    ) -> Result<Option<PerAxis>, Failure> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let numbers = integer(value).map(|n| vec![n]).or_else(|| integers(value));
        let wrong = || wrong_type(name, value, "an integer or a list of integers");
        let numbers = numbers.ok_or_else(wrong)?.into_iter().map(|n| at_least(name, n, least, kind));
        let mut numbers = numbers.collect::<Result<Vec<_>, _>>()?;
        Ok(Some(match numbers.pop() {
            Some(number) if !value.is_array() => PerAxis::Uniform(number),
            last => PerAxis::Each(numbers.into_iter().chain(last).collect()),
        }))
    }

    /// A list of extents, of which some may be left open with `null`.
    pub(crate) fn hint(&self, name: &str) -> Result<wgconv::theano::Hint, Failure> {
        let wrong = |value| wrong_type(name, value, "a list of extents or null");
        let extent = |item: &Value| match item {
            Value::Null => Some(None),
            item => integer(item).and_then(|n| usize::try_from(n).ok()).map(Some),
        };
        self.get(name)
            .map(|value| {
                let items = value.as_array().ok_or_else(|| wrong(value))?;
                items.iter().map(|item| extent(item).ok_or_else(|| wrong(value))).collect()
            })
            .transpose()
    }

    /// An integer or a list of them, of any sign.
    pub(crate) fn signed(&self, name: &str) -> Result<Option<Vec<isize>>, Failure> {
        let wrong = |value| wrong_type(name, value, "an integer or a list of integers");
        self.get(name)
            .map(|value| {
                let numbers = integer(value).map(|n| vec![n]).or_else(|| integers(value));
                let numbers = numbers.ok_or_else(|| wrong(value))?.into_iter();
                numbers.map(|n| isize::try_from(n).map_err(|_| wrong(value))).collect()
            })
            .transpose()
    }

    /// A number.
    pub(crate) fn number(&self, name: &str) -> Result<Option<f64>, Failure> {
        let wrong = |value| wrong_type(name, value, "a number");
        self.get(name).map(|value| value.as_f64().ok_or_else(|| wrong(value))).transpose()
    }

    /// A list of extents.
    pub(crate) fn extents(&self, name: &str) -> Result<Option<Vec<usize>>, Failure> {
        let wrong = |value| wrong_type(name, value, "a list of extents");
        self.get(name)
            .map(|value| {
                let numbers = integers(value).ok_or_else(|| wrong(value))?;
                numbers.into_iter().map(|n| usize::try_from(n).map_err(|_| wrong(value))).collect()
            })
            .transpose()
    }
}

fn at_least(name: &str, number: i128, least: u64, kind: ErrorKind) -> Result<u64, Failure> {
    u64::try_from(number)
        .ok()
        .filter(|&n| n >= least)
        .ok_or_else(|| Failure::new(kind, format!("`{name}` is {number}, wanted at least {least}")))
}

/// The integers that JSON numbers without fraction and exponent within 64 bits are.
pub(crate) fn integer(value: &Value) -> Option<i128> {
    value.as_u64().map(i128::from).or_else(|| value.as_i64().map(i128::from))
}

pub(crate) fn integers(value: &Value) -> Option<Vec<i128>> {
    value.as_array()?.iter().map(integer).collect()
}
