//! Random changes of an input, for runs without libFuzzer.

use tests::random::SplitMix64;

/// Integers at the edges of types and sizes.
const NUMBERS: [u64; 12] = [0, 1, 2, 7, 0x7f, 0xff, 0x7fff, 0xffff, 0x7fff_ffff, 0xffff_ffff, i64::MAX as u64, u64::MAX];

/// Words that parsers of the targets distinguish.
const WORDS: [&str; 34] = [
    "-1",
    "0",
    "1",
    "-9223372036854775808",
    "9223372036854775807",
    "18446744073709551615",
    "1e309",
    "NaN",
    "null",
    "true",
    "{}",
    "[]",
    "\"\"",
    "...",
    "::",
    "::-1",
    "[",
    "]",
    ",",
    "{index}",
    "{index:020}",
    "{depth}",
    "%05d",
    "%",
    "{{",
    "}}",
    "http://",
    "[::ffff:127.0.0.1]",
    "0x7f.1",
    "localhost.",
    "*.",
    "/0",
    "é",
    "\u{0}",
];

/// Changes `input` in one to eight places. `other` is another input of the corpus.
pub fn mutate(input: &mut Vec<u8>, other: &[u8], random: &mut SplitMix64, is_text: bool) {
    for _ in 0..=random.below(8) {
        let at = random.below(input.len() + 1);
        let longest = random.below(64);
        let length = random.below(1 + longest).min(input.len() - at);
        match random.below(if is_text { 9 } else { 8 }) {
            0 => drop(input.splice(at..at + length, [])),
            1 => {
                let from = random.below(other.len() + 1);
                let part = &other[from..(from + random.below(64)).min(other.len())];
                drop(input.splice(at..at + length, part.iter().copied()));
            }
            2 => {
                let part = input[at..at + length].to_vec();
                drop(input.splice(at..at, part));
            }
            3 if at < input.len() => input[at] ^= 1 << random.below(8),
            4 if at < input.len() => input[at] = random.next() as u8,
            5 | 6 if !is_text => {
                let number = NUMBERS[random.below(NUMBERS.len())];
                let mut bytes = if random.below(2) == 0 { number.to_le_bytes() } else { number.to_be_bytes() };
                let size = [1, 2, 4, 8][random.below(4)];
                if random.below(2) == 0 {
                    bytes.reverse();
                }
                let end = (at + size).min(input.len());
                input[at..end].copy_from_slice(&bytes[..end - at]);
            }
            7 if random.below(8) == 0 => input.truncate(at),
            _ => drop(input.splice(at..at + length.min(8), WORDS[random.below(WORDS.len())].bytes())),
        }
    }
}
