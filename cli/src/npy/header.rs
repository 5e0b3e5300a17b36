//! The text between the magic string and the data.

use std::io::Read;

use super::{Limits, NpyError, Source};

const MAGIC: [u8; 6] = *b"\x93NUMPY";
const MAX_LEN: u32 = 1 << 16;

#[derive(Debug, Clone, Copy)]
pub(super) enum Dtype {
    F32,
    F64,
    F16,
    I8,
    U8,
    I16,
    U16,
    I32,
}

impl Dtype {
    fn size(self) -> u64 {
        match self {
            Self::F64 => 8,
            Self::F32 | Self::I32 => 4,
            Self::F16 | Self::I16 | Self::U16 => 2,
            Self::I8 | Self::U8 => 1,
        }
    }

    /// The type and whether its bytes must be swapped.
    fn parse(descr: &str) -> Result<(Self, bool), NpyError> {
        let (order, code) = descr.split_at_checked(1).unwrap_or_default();
        let dtype = match code {
            "f4" => Self::F32,
            "f8" => Self::F64,
            "f2" => Self::F16,
            "i1" => Self::I8,
            "u1" => Self::U8,
            "i2" => Self::I16,
            "u2" => Self::U16,
            "i4" => Self::I32,
            _ => return Err(unsupported(descr, meaning(code))),
        };
        match order {
            "<" => Ok((dtype, cfg!(target_endian = "big"))),
            ">" => Ok((dtype, cfg!(target_endian = "little"))),
            "=" => Ok((dtype, false)),
            "|" if dtype.size() == 1 => Ok((dtype, false)),
            _ => Err(unsupported(descr, "no byte order")),
        }
    }
}

fn unsupported(descr: &str, meaning: &'static str) -> NpyError {
    NpyError::UnsupportedDtype { descr: shorten(descr), meaning }
}

fn meaning(code: &str) -> &'static str {
    match code {
        "b1" => "bool",
        "i8" => "int64",
        "u4" => "uint32",
        "u8" => "uint64",
        "c8" | "c16" | "c32" => "complex",
        "f12" | "f16" => "long double",
        _ => match code.bytes().next() {
            Some(b'O') => "object",
            Some(b'V') => "void",
            Some(b'S' | b'a') => "bytes",
            Some(b'U') => "text",
            Some(b'M' | b'm') => "date or time",
            _ => "unknown",
        },
    }
}

fn shorten(text: &str) -> String {
    text.chars().take(32).collect()
}

#[derive(Debug)]
pub(super) struct Header {
    pub(super) dtype: Dtype,
    /// Whether the file's byte order is not this machine's.
    pub(super) swapped: bool,
    pub(super) fortran: bool,
    pub(super) shape: Vec<u64>,
}

impl Header {
    /// Leaves `source` at the first byte of the data.
    pub(super) fn read(source: &mut Source<impl Read>) -> Result<Self, NpyError> {
        let mut magic = [0; 6];
        source.fill(&mut magic, "magic string")?;
        if magic != MAGIC {
            return Err(NpyError::BadMagic { found: magic });
        }
        let mut version = [0; 2];
        source.fill(&mut version, "format version")?;
        let mut len = [0; 4];
        let len_bytes = match version {
            [1, 0] => 2,
            [2 | 3, 0] => 4,
            [major, minor] => return Err(NpyError::BadVersion { major, minor }),
        };
        source.fill(&mut len[..len_bytes], "header length")?;
        let len = u32::from_le_bytes(len);
        if len > MAX_LEN {
            return Err(NpyError::HeaderTooLong { len: len.into(), max: MAX_LEN.into() });
        }
        let mut text = vec![0; len as usize];
        source.fill(&mut text, "header")?;
        Parser { text: &text, at: 0, start: MAGIC.len() + 2 + len_bytes }.header()
    }

    /// The shape, once its size is known to be that of the data, addressable and within `limits`.
    pub(super) fn checked_shape(&self, data: u64, limits: &Limits) -> Result<Vec<usize>, NpyError> {
        let axes = self.shape.len();
        if axes > limits.max_axes {
            return Err(NpyError::TooManyAxes { axes, max: limits.max_axes });
        }
        let overflow = || NpyError::ShapeOverflow { shape: self.shape.clone() };
        let bytes = self
            .shape
            .iter()
            .try_fold(self.dtype.size(), |bytes, &extent| bytes.checked_mul(extent.max(1)))
            .filter(|&bytes| isize::try_from(bytes).is_ok())
            .ok_or_else(overflow)?;
        let wanted = if self.shape.contains(&0) { 0 } else { bytes };
        if wanted != data {
            return Err(NpyError::WrongLength { wanted, found: data });
        }
        if bytes > limits.max_bytes {
            return Err(NpyError::TooLarge { bytes, max: limits.max_bytes });
        }
        let extents = self.shape.iter().map(|&extent| usize::try_from(extent));
        extents.collect::<Result<_, _>>().map_err(|_| overflow())
    }
}

/// Reads the Python dictionary literal that the header is, and no other Python.
struct Parser<'a> {
    text: &'a [u8],
    at: usize,
    /// Where in the file the text starts.
    start: usize,
}

impl<'a> Parser<'a> {
    fn header(&mut self) -> Result<Header, NpyError> {
        let (mut descr, mut fortran, mut shape) = (None, None, None);
        self.require(b'{', "'{'")?;
        while self.peek() != Some(b'}') {
            let key_at = self.at;
            let key = self.string("a quoted key or '}'")?;
            self.require(b':', "':'")?;
            match key {
                "descr" if descr.is_none() => descr = Some(self.descr()?),
                "fortran_order" if fortran.is_none() => fortran = Some(self.boolean()?),
                "shape" if shape.is_none() => shape = Some(self.tuple()?),
                _ => {
                    let wanted = "'descr', 'fortran_order' and 'shape' once each";
                    return Err(self.refuse(key_at, wanted, format!("'{}'", shorten(key))));
                }
            }
            if self.peek() != Some(b'}') {
                self.require(b',', "',' or '}'")?;
            }
        }
        let end = self.at;
        self.require(b'}', "'}'")?;
        if self.peek().is_some() {
            return Err(self.unexpected("only white space after the dictionary"));
        }
        let missing = |wanted| self.refuse(end, wanted, "'}'".to_owned());
        let (dtype, swapped) = descr.ok_or_else(|| missing("the key 'descr'"))?;
        let fortran = fortran.ok_or_else(|| missing("the key 'fortran_order'"))?;
        let shape = shape.ok_or_else(|| missing("the key 'shape'"))?;
        Ok(Header { dtype, swapped, fortran, shape })
    }

    fn descr(&mut self) -> Result<(Dtype, bool), NpyError> {
        if let Some(b'[' | b'(' | b'{') = self.peek() {
            let rest = self.text[self.at..].escape_ascii().to_string();
            return Err(unsupported(&rest, "structured"));
        }
        Dtype::parse(self.string("a quoted dtype")?)
    }

    /// A quoted run of printable ASCII without escapes.
    fn string(&mut self, wanted: &'static str) -> Result<&'a str, NpyError> {
        let quote = match self.peek() {
            Some(quote @ (b'\'' | b'"')) => quote,
            _ => return Err(self.unexpected(wanted)),
        };
        let start = self.at + 1;
        let plain = |&byte: &u8| byte != quote && byte != b'\\' && (b' '..=b'~').contains(&byte);
        self.at = start + self.text[start..].iter().take_while(|&byte| plain(byte)).count();
        if self.text.get(self.at) != Some(&quote) {
            return Err(self.unexpected("plain characters and a closing quote"));
        }
        let content = &self.text[start..self.at];
        self.at += 1;
        str::from_utf8(content).map_err(|_| self.unexpected("ASCII"))
    }

    fn boolean(&mut self) -> Result<bool, NpyError> {
        self.peek();
        for (word, value) in [("True", true), ("False", false)] {
            if self.text[self.at..].starts_with(word.as_bytes()) {
                self.at += word.len();
                return Ok(value);
            }
        }
        Err(self.unexpected("True or False"))
    }

    fn tuple(&mut self) -> Result<Vec<u64>, NpyError> {
        let mut extents = Vec::new();
        self.require(b'(', "'('")?;
        while self.peek() != Some(b')') {
            extents.push(self.extent()?);
            match self.peek() {
                // Without its comma `(3)` is a number in Python and no tuple.
                Some(b')') if extents.len() > 1 => {}
                _ => self.require(b',', if extents.len() > 1 { "',' or ')'" } else { "','" })?,
            }
        }
        self.require(b')', "')'")?;
        Ok(extents)
    }

    fn extent(&mut self) -> Result<u64, NpyError> {
        self.peek();
        let start = self.at;
        let mut extent = 0_u64;
        while let Some(digit @ b'0'..=b'9') = self.text.get(self.at) {
            extent = extent
                .checked_mul(10)
                .and_then(|tens| tens.checked_add((digit - b'0').into()))
                .ok_or_else(|| self.refuse(start, "an extent below 2^64", "more".to_owned()))?;
            self.at += 1;
        }
        match &self.text[start..self.at] {
            [] => return Err(self.unexpected("an extent of decimal digits")),
            // Python 2 read these as octal and Python 3 does not read them at all.
            [b'0', _, ..] => {
                let wanted = "an extent without leading zeros";
                return Err(self.refuse(start, wanted, "'0'".to_owned()));
            }
            _ => {}
        }
        // Python 2 marked its long integers.
        if self.text.get(self.at) == Some(&b'L') {
            self.at += 1;
        }
        Ok(extent)
    }

    /// The next byte that is not white space, left in place.
    fn peek(&mut self) -> Option<u8> {
        let blank = self.text[self.at..].iter().take_while(|byte| byte.is_ascii_whitespace());
        self.at += blank.count();
        self.text.get(self.at).copied()
    }

    fn require(&mut self, byte: u8, wanted: &'static str) -> Result<(), NpyError> {
        if self.peek() != Some(byte) {
            return Err(self.unexpected(wanted));
        }
        self.at += 1;
        Ok(())
    }

    fn unexpected(&self, wanted: &'static str) -> NpyError {
        let found = match self.text.get(self.at) {
            Some(&byte) => format!("'{}'", byte.escape_ascii()),
            None => "the end of the header".to_owned(),
        };
        self.refuse(self.at, wanted, found)
    }

    fn refuse(&self, at: usize, wanted: &'static str, found: String) -> NpyError {
        NpyError::BadHeader { position: self.start + at, wanted, found }
    }
}

/// Everything before the data, byte for byte as `NumPy` writes it: format 1.0, C order.
pub(super) fn encode(descr: &str, shape: &[usize]) -> Result<Vec<u8>, NpyError> {
    const ALIGN: usize = 64;
    /// The first extent is padded to this many digits, so that it can grow in place.
    const GROWTH: usize = 21;
    let extents: Vec<String> = shape.iter().map(ToString::to_string).collect();
    let comma = if shape.len() == 1 { "," } else { "" };
    let tuple = format!("({}{comma})", extents.join(", "));
    let mut text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {tuple}, }}");
    let growth = extents.first().map_or(0, |first| GROWTH.saturating_sub(first.len()));
    let prefix = MAGIC.len() + 4;
    let used = prefix + text.len() + growth + 1;
    text.extend(std::iter::repeat_n(' ', growth + ALIGN - used % ALIGN));
    text.push('\n');
    let len = u16::try_from(text.len())
        .map_err(|_| NpyError::HeaderTooLong { len: text.len() as u64, max: u16::MAX.into() })?;
    Ok([&MAGIC[..], &[1, 0], &len.to_le_bytes(), text.as_bytes()].concat())
}
