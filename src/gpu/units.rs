//! How many compute units a device has, by its name: no graphics API tells.

/// Streaming multiprocessors, compute units or cores of devices by a part of their names. A name that contains several is
/// meant by the longest.
const UNITS: &[(&str, u32)] = &[
    ("A100", 108),
    ("H100", 132),
    ("H200", 132),
    ("L40S", 142),
    ("RTX 3060", 28),
    ("RTX 3070", 46),
    ("RTX 3080", 68),
    ("RTX 3090", 82),
    ("RTX 4060", 24),
    ("RTX 4070", 46),
    ("RTX 4080", 76),
    ("RTX 4090", 128),
    ("RTX 5090", 170),
    ("Tesla T4", 40),
    ("V100", 80),
    ("RX 6600", 28),
    ("RX 6700 XT", 40),
    ("RX 6800", 60),
    ("RX 6800 XT", 72),
    ("RX 6900 XT", 80),
    ("RX 7600", 32),
    ("RX 7800 XT", 60),
    ("RX 7900 XT", 84),
    ("RX 7900 XTX", 96),
    ("RX 9070 XT", 64),
    ("Apple M1", 8),
    ("Apple M1 Pro", 16),
    ("Apple M1 Max", 32),
    ("Apple M2", 10),
    ("Apple M2 Pro", 19),
    ("Apple M2 Max", 38),
    ("Apple M3", 10),
    ("Apple M3 Pro", 18),
    ("Apple M3 Max", 40),
];

/// Of the device called so, where it is known; `None`: [`Target::units`](crate::target::Target::units) takes what is usual.
pub(super) fn of(name: &str) -> Option<u32> {
    // Portable ones have fewer under the same names.
    let known = |part: &str| name.contains(part) && !name.contains("Laptop");
    let found = UNITS.iter().filter(|(part, _)| known(part));
    found.max_by_key(|(part, _)| part.len()).map(|(_, units)| *units)
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn the_longest_part_of_a_name_is_meant() {
        for (name, units) in [
            ("NVIDIA H200", Some(132)),
            ("AMD Radeon RX 7900 XTX (RADV NAVI31)", Some(96)),
            ("AMD Radeon RX 7900 XT (RADV NAVI31)", Some(84)),
            ("Apple M1 Max", Some(32)),
            ("NVIDIA GeForce RTX 4090 Laptop GPU", None),
            ("llvmpipe (LLVM 15.0.6, 256 bits)", None),
        ] {
            assert_eq!(of(name), units, "{name}");
        }
    }
}
