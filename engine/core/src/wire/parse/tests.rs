use super::*;
use crate::wire::dialect::TagFormats;

const GOOD: [&str; 12] = [
    "a:1|c|@0.1|#b:2,a:1",
    "a:1:2:-3|g",
    "a:1|c|@0.5:2|ms|@0.1:x|s",
    "a;t=1;u=2:1|ms|T1700000000",
    "a[t=1,u=2]b:1.5e3|h",
    "a#t=1:x:y|s|c:ci-1",
    "é,ü=ß:20.086|d|#k:é",
    "_e{5,4}:title|text|d:1|p:low|t:error|#a:b|zz",
    "_e{2,1}:é|x",
    "_sc|name|2|h:w|#a|m:down|c:x",
    "a:18446744073709551616|c",
    "a:.5:5.:+1e-9|ms",
];

struct Random(u64);

impl Random {
    /// A number below `most`, from a linear congruential generator.
    fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        usize::try_from(self.0 >> 33).unwrap() % most
    }

    fn byte(&mut self) -> u8 {
        const GRAMMAR: &[u8] = b":|,;#@=[]{}_esc0123456789+-.ETgmhd\r\\n\xc3\xa9\x00\x9b\xff";
        GRAMMAR[self.below(GRAMMAR.len())]
    }
}

fn dialects() -> [Dialect; 2] {
    let formats = [TagFormats::INFLUX, TagFormats::LIBRATO, TagFormats::SIGNALFX];
    let tag_formats = formats.iter().fold(TagFormats::GRAPHITE, |all, one| all.with(*one));
    [Dialect::default(), Dialect { tag_formats, tags: 1, name_length: 2, ..Dialect::default() }]
}

#[test]
fn random_bytes_never_panic() {
    let mut random = Random(1);
    for _ in 0..100_000 {
        let length = random.below(40);
        let line: Vec<u8> = (0..length).map(|_| random.byte()).collect();
        for dialect in dialects() {
            let _ = parse_line(&line, &dialect);
        }
    }
}

#[test]
fn mutated_good_lines_never_panic() {
    let mut random = Random(2);
    for _ in 0..100_000 {
        let mut line = GOOD[random.below(GOOD.len())].as_bytes().to_vec();
        for _ in 0..=random.below(3) {
            let at = random.below(line.len());
            match random.below(3) {
                0 => line[at] = random.byte(),
                1 => line.insert(at, random.byte()),
                _ => line.truncate(at.max(1)),
            }
        }
        for dialect in dialects() {
            let _ = parse_line(&line, &dialect);
        }
    }
}

#[test]
fn a_key_longer_than_its_length_field_is_refused_whatever_the_dialect_says() {
    let dialect = Dialect { name_length: usize::MAX, ..Dialect::default() };
    let long = "a".repeat(65_535);
    assert!(parse_line(format!("{long}:1|c").as_bytes(), &dialect).is_ok());
    for line in [format!("{long}a:1|c"), format!("a:1|c|#{long}"), format!("a:1|c|#a:{long}")] {
        assert_eq!(parse_line(line.as_bytes(), &dialect), Err(Reason::TooLong));
    }
}

#[test]
fn samples_of_one_type_share_their_key() {
    let line = parse_line(b"a:1|c:2|g:3|c|#t:1", &Dialect::default()).unwrap();
    let keys: Vec<_> = line.samples.iter().map(|sample| sample.key.get().as_bytes()).collect();
    assert!(std::ptr::eq(keys[0], keys[2]));
    assert_ne!(keys[0], keys[1]);
}
