use super::*;

/// Numbers of one to twenty digits, with and without sign and point.
fn numbers() -> impl Iterator<Item = String> {
    let mut state = 1_u64;
    (0..100_000).map(move |_| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let below = |most: usize, bit: u32| usize::try_from(state >> bit).unwrap() % most;
        let digits = (state >> 1).to_string();
        let digits = &digits[..=below(digits.len(), 3)];
        let (before, after) = digits.split_at(below(digits.len() + 1, 40));
        let point = ["", ".", "."][below(3, 50)];
        format!("{}{before}{point}{after}", ["", "+", "-"][below(3, 60)])
    })
}

#[test]
fn all_ways_to_read_a_number_agree_to_the_last_bit() {
    for text in numbers() {
        let expected = parse_any(text.as_bytes()).map(f64::to_bits);
        assert!(expected.is_some(), "{text}");
        assert_eq!(parse_number(text.as_bytes()).map(f64::to_bits), expected, "{text}");
        for before in ["", "a:", "0.5:-1.", "12345678"] {
            let data = format!("{before}{text}|c");
            let range = before.len()..before.len() + text.len();
            let read = parse_number_in(data.as_bytes(), range).map(f64::to_bits);
            assert_eq!(read, expected, "{data}");
        }
    }
}

#[test]
fn one_wrong_byte_is_no_number_whatever_stands_before_it() {
    for text in numbers().take(1_000) {
        for at in 0..text.len() {
            for wrong in (0..=255).filter(|byte| !b"0123456789+-.eE".contains(byte)) {
                let mut data = format!("12.34567{text}").into_bytes();
                data[8 + at] = wrong;
                let range = 8..data.len();
                assert_eq!(parse_number_in(&data, range), None, "{text} {at} {wrong}");
            }
        }
    }
}

#[test]
fn an_unsigned_integer_is_up_to_eighteen_digits() {
    assert_eq!(parse_unsigned(b"0"), Some(0));
    assert_eq!(parse_unsigned(b"999999999999999999"), Some(999_999_999_999_999_999));
    for text in [&b""[..], b"1000000000000000000", b"+1", b"-1", b"1.0", b" 1", "١".as_bytes()] {
        assert_eq!(parse_unsigned(text), None);
    }
}
