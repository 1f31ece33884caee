use super::*;

fn counter(name: &str, tags: &[(&str, &str)]) -> Key {
    Key::new(MetricType::Counter, name, tags)
}

fn names(table: &SeriesTable, ids: &[Id]) -> Vec<String> {
    ids.iter().map(|&id| table.keys.get(id).unwrap().name().to_owned()).collect()
}

#[test]
fn the_same_key_is_the_same_series() {
    let mut table = SeriesTable::new(10, 3600.0);
    let first = table.get(&counter("a", &[]), 0.0);
    assert_eq!(table.get(&counter("a", &[]), 1.0), first);
    assert_ne!(table.get(&counter("a", &[("b", "")]), 1.0).id, first.id);
    assert_eq!(table.active(), 2);
}

#[test]
fn a_page_has_one_class() {
    let mut table = SeriesTable::new(10_000, 3600.0);
    for number in 0..1000 {
        for kind in MetricType::ALL {
            let found = table.get(&Key::new(kind, &format!("n{number}"), &[]), 0.0);
            let page = table.keys.page(page_of(found.id)).unwrap();
            assert_eq!(page.class(), kind.class());
        }
    }
    assert_eq!(table.active(), 6000);
    assert_eq!(table.keys.pages(), 4 + 4 + 12 + 4);
}

#[test]
fn past_the_limit_a_known_name_has_its_own_overflow_and_the_others_share_one() {
    let mut table = SeriesTable::new(1, 3600.0);
    table.get(&counter("a", &[]), 0.0);
    let known = table.get(&counter("a", &[("i", "1")]), 0.0);
    let unknown = table.get(&counter("b", &[]), 0.0);
    assert!(known.is_overflowed && unknown.is_overflowed);
    assert_eq!(table.keys.get(known.id), Some(counter("a", &[("overflow", "true")]).get()));
    assert_eq!(table.keys.get(unknown.id), Some(counter(OVERFLOW_NAME, &[]).get()));
    assert_eq!(table.active(), 1);
    let asked_by_its_own_name = table.get(&counter(OVERFLOW_NAME, &[]), 0.0);
    assert_eq!(
        (asked_by_its_own_name.id, asked_by_its_own_name.is_overflowed),
        (unknown.id, false)
    );
}

#[test]
fn what_is_idle_is_forgotten_and_its_id_means_another_series_then() {
    let mut table = SeriesTable::new(2, 3600.0);
    let old = table.get(&counter("old", &[]), 0.0);
    let young = table.get(&counter("young", &[]), 100.0);
    assert_eq!(table.expire(0, 50.0, 200.0), [old.id]);
    assert!(!table.touch(old.id, old.generation, 60.0));
    assert!(table.touch(young.id, young.generation, 60.0));
    let fresh = table.get(&counter("fresh", &[]), 200.0);
    assert_eq!(fresh.id, old.id);
    assert_ne!(fresh.generation, old.generation);
    assert!(table.named("old").is_empty());
}

#[test]
fn a_series_that_the_open_slot_has_touched_is_not_idle_until_that_is_sealed() {
    let mut table = SeriesTable::new(2, 3600.0);
    let found = table.get(&counter("a", &[]), 0.0);
    assert!(table.touch(found.id, found.generation, 100.0));
    assert!(table.expire(0, 50.0, 100.0).is_empty());
    assert_eq!(table.expire(0, 50.0, 110.0), [found.id]);
}

#[test]
fn nothing_is_forgotten_that_a_slot_may_hold() {
    let table = SeriesTable::new(2, 100.0);
    assert!((table.horizon(1000.0, 200.0) - 200.0).abs() < f64::EPSILON);
    assert!((table.horizon(1000.0, 950.0) - 900.0).abs() < f64::EPSILON);
    assert!((table.horizon(1000.0, f64::INFINITY) - 900.0).abs() < f64::EPSILON);
}

#[test]
fn all_series_of_a_name_are_found_by_it_whoever_went() {
    let mut table = SeriesTable::new(100, 3600.0);
    let tags = ["0", "1", "2", "3"];
    let ids: Vec<_> =
        tags.iter().map(|tag| table.get(&counter("a", &[("t", tag)]), 0.0).id).collect();
    table.get(&Key::new(MetricType::Gauge, "a", &[]), 0.0);
    table.get(&counter("b", &[]), 0.0);
    assert_eq!(table.named("a").len(), 5);
    for (gone, &id) in ids.iter().enumerate() {
        table.remove(id);
        let left = table.named("a");
        assert_eq!(left.len(), 4 - gone);
        assert!(names(&table, &left).iter().all(|name| name == "a"));
    }
    assert_eq!(table.names.owners(MetricType::Counter, "a", &table.keys), 0);
    assert_eq!(table.active(), 2);
}

#[test]
fn a_snapshot_of_the_keys_does_not_change() {
    let mut table = SeriesTable::new(100, 3600.0);
    let found = table.get(&counter("a", &[]), 0.0);
    let before = table.keys();
    table.expire(0, 1.0, 2.0);
    table.get(&counter("b", &[]), 2.0);
    assert_eq!(before.get(found.id), Some(counter("a", &[]).get()));
    assert_eq!(table.keys().get(found.id), Some(counter("b", &[]).get()));
}

#[test]
fn reports_of_clients_are_known_until_they_expire() {
    let mut table = SeriesTable::new(100, 3600.0);
    table.get(&counter("other", &[]), 0.0);
    let report = table.get(&counter(CLIENT_DROPPED, &[("reason", "refused")]), 0.0);
    assert_eq!(table.reports(), [report.id]);
    table.expire(0, 1.0, 2.0);
    assert!(table.reports().is_empty());
}
