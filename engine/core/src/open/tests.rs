use super::*;

fn open() -> Open {
    Open::new(Arc::new(Form { set_limit: 10, indexer: Indexer::new(6) }))
}

#[test]
fn spellings_share_a_place_where_a_place_is_large_or_has_an_order() {
    for class in [Class::Gauge, Class::Sampled, Class::Set] {
        let mut open = open();
        let place = open.place(1, class);
        assert_eq!(open.spelling_place(1, class), place);
        assert_ne!(open.spelling_place(2, class), place);
    }
}

#[test]
fn each_spelling_of_a_counter_has_a_place_of_its_own() {
    let mut open = open();
    let place = open.place(1, Class::Counter);
    assert_ne!(open.spelling_place(1, Class::Counter), place);
}
