use super::*;

#[test]
fn a_glob_without_wildcards_is_its_own_literal() {
    assert_eq!(Glob::new("a.b").literal(), Some("a.b"));
    assert_eq!(Glob::new("a[b").literal(), Some("a[b"));
    assert_eq!(Glob::new("a?").literal(), None);
    assert_eq!(Glob::new("[a]").literal(), None);
}

#[test]
fn stars_cost_the_product_of_both_lengths_at_most() {
    let text = "a".repeat(20_000);
    for pattern in [format!("{}b", "a*".repeat(1_000)), format!("{}?b", "a*".repeat(1_000))] {
        assert!(!Glob::new(&pattern).matches(&text));
    }
}

#[test]
fn prefix_and_suffix_do_not_share_characters() {
    assert!(!Glob::new("ab*ba").matches("aba"));
    assert!(Glob::new("ab*ba").matches("abba"));
    assert!(!Glob::new("a*b*b").matches("ab"));
}
