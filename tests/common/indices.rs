//! Kernels that tell which of their indices are past the end: each index into a storage buffer or into workgroup memory goes
//! through a function that notes it where it is not below the array's length, and then takes the last element.

/// A place in a kernel where an array is indexed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// The array's name.
    pub array: String,
    /// The index as it stands in the source, before it was replaced.
    pub index: String,
}

/// A kernel's source with its indices watched. What it notes is in one more storage buffer: [`WORDS`] for every site.
#[derive(Clone, Debug)]
pub struct Watched {
    pub text: String,
    pub sites: Vec<Site>,
}

/// What is noted of a site: how many invocations were past the end there first, the largest of their indices, the length.
pub const WORDS: usize = 3;

/// The function that every index goes through.
pub const WITHIN: &str = "within";

/// The buffer that is written.
pub const BEYOND: &str = "beyond";

/// How the entry point of a kernel begins.
const ENTRY: &str = "@compute @workgroup_size(WG)\nfn main(";

/// An array that a kernel declares, and its length in WGSL.
struct Array {
    name: String,
    length: String,
}

/// `source`, of which `binding` is the first free binding. Its uniform block becomes a storage buffer too: Mesa's software
/// adapter compiles a kernel anew for other values of uniforms that its loops run to.
pub fn watched(source: &str, binding: usize) -> Watched {
    let uncommented = |line: &str| line.split("//").next().unwrap_or(line).to_owned() + "\n";
    let code: String = source.lines().map(uncommented).collect();
    let mut sites = Vec::new();
    let text = rewritten(&code, &arrays(&code), &mut sites).replace("var<uniform>", "var<storage, read>");
    let (head, rest) = text.split_once(ENTRY).expect("an entry point");
    let (parameters, body) = rest.split_once(") {").expect("a list of parameters");
    // Without the attributes, which only an entry point may have.
    let plain = |parameter: &str| parameter.trim().rsplit(')').next().map(|p| p.trim().to_owned());
    let plain: Vec<String> = parameters.split(',').filter_map(plain).filter(|p| !p.is_empty()).collect();
    let names: Vec<&str> = plain.iter().filter_map(|parameter| parameter.split(':').next()).collect();
    let (plain, names) = (plain.join(", "), names.join(", "));
    let text = format!(
        "{head}fn unwatched_main({plain}) {{{body}
@group(0) @binding({binding}) var<storage, read_write> {BEYOND}: array<atomic<u32>>;

const NOWHERE: u32 = 0xffffffffu;
// Of an invocation: the first site where an index was past the end, the largest one there, and the length.
var<private> noted: vec3<u32> = vec3<u32>(NOWHERE, 0u, 0u);

fn {WITHIN}(index: u32, length: u32, site: u32) -> u32 {{
    let past = index >= length && (noted.x == NOWHERE || noted.x == site && noted.y < index);
    noted = select(noted, vec3<u32>(site, index, length), past);
    return min(index, length - 1u);
}}

{ENTRY}{parameters}) {{
    unwatched_main({names});
    if noted.x != NOWHERE {{
        let at = noted.x * {WORDS}u;
        atomicAdd(&{BEYOND}[at], 1u);
        atomicMax(&{BEYOND}[at + 1u], noted.y);
        atomicMax(&{BEYOND}[at + 2u], noted.z);
    }}
}}
"
    );
    Watched { text, sites }
}

/// The arrays in storage buffers and in workgroup memory.
fn arrays(code: &str) -> Vec<Array> {
    let declared = |space: &str| -> Vec<(String, String)> {
        let of = |rest: &str| {
            let (_, rest) = rest.split_once('>')?;
            let (name, rest) = rest.split_once(':')?;
            let (kind, _) = rest.split_once(';')?;
            Some((name.trim().to_owned(), kind.trim().to_owned()))
        };
        code.split(space).skip(1).filter_map(of).collect()
    };
    let stored = |(name, _)| Array { length: format!("arrayLength(&{name})"), name };
    let shared = |(name, kind): (String, String)| {
        // The last comma is the array's own: no length has one.
        let length = kind.strip_suffix('>').and_then(|inner| inner.rsplit_once(','));
        let (_, length) = length.expect("an array with a length");
        Array { name, length: length.trim().to_owned() }
    };
    let stored = declared("var<storage").into_iter().map(stored);
    stored.chain(declared("var<workgroup").into_iter().map(shared)).collect()
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// `code` with every `array[index]` replaced, those within other indices too.
fn rewritten(code: &str, arrays: &[Array], sites: &mut Vec<Site>) -> String {
    let (mut out, mut rest) = (String::new(), code);
    while let Some(at) = rest.find(is_word) {
        let (before, word) = rest.split_at(at);
        let (word, after) = word.split_at(word.find(|c| !is_word(c)).unwrap_or(word.len()));
        out += before;
        out += word;
        rest = after;
        let is_member = before.ends_with('.');
        let array = arrays.iter().find(|array| array.name == word && !is_member);
        let (Some(array), Some(index)) = (array, rest.strip_prefix('[')) else { continue };
        let (index, after) = index.split_at(closing(index));
        let site = sites.len();
        let words: Vec<&str> = index.split_whitespace().collect();
        sites.push(Site { array: word.to_owned(), index: words.join(" ") });
        let index = rewritten(index, arrays, sites);
        out += &format!("[{WITHIN}({index}, {}, {site}u)", array.length);
        rest = after;
    }
    out + rest
}

/// Where the bracket that is open before `text` closes.
fn closing(text: &str) -> usize {
    let mut open = 1;
    let closes = |c: char| {
        open += i32::from(c == '[') - i32::from(c == ']');
        open == 0
    };
    text.find(closes).expect("brackets are closed")
}
