//! The engine as a whole: rotation under traffic, readers, and what each number adds up to.

use std::net::UdpSocket;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant as Deadline};

use vitald_core::accounts::Ledger;
use vitald_core::engine::{Engine, Settings};
use vitald_core::metric::Instant;
use vitald_core::rows::{Interval, Row};
use vitald_core::selector::Selector;
use vitald_core::wire::dialect::Dialect;

fn at(seconds: f64) -> Instant {
    Instant { wall: 1_700_000_000.0 + seconds, monotonic: 500.0 + seconds }
}

fn engine() -> Engine {
    let settings = Settings {
        interval: 10.0,
        windows: vec![10.0, 60.0, 300.0, 900.0, 3600.0],
        series_limit: 100_000,
        series_expiry: 3600.0,
        set_exact_limit: 1000,
        histogram_scale: 6,
    };
    Engine::new(at(0.0), &settings)
}

fn ingest(engine: &Engine, lines: &str) {
    engine.ingest(lines.as_bytes(), "udp", false, &Dialect::default());
}

fn rows(interval: &Interval) -> Vec<Row> {
    interval.rows(false).flatten().collect()
}

fn sum(rows: &[Row], name: &str) -> f64 {
    rows.iter().filter(|row| row.key().name() == name).map(|row| row.sum).sum()
}

fn ask(engine: &Engine, name: &str, window: f64) -> Vec<Row> {
    let selector = Selector::new(&[name.to_owned()], &[], &[]);
    engine.query(selector, window).expect("there is such a window").rows().flatten().collect()
}

fn assert_balanced(ledger: &Ledger) {
    let gone: u64 = ledger.rejected.iter().chain(&ledger.shed).map(|(_, times)| times).sum();
    assert_eq!(ledger.lines, ledger.aggregated + gone);
}

/// Wait for what a reader thread does; tests of the loopback need no more than a moment.
fn until(what: &str, mut is_done: impl FnMut() -> bool) {
    let deadline = Deadline::now() + Duration::from_secs(20);
    while !is_done() {
        assert!(Deadline::now() < deadline, "no {what} after 20 s");
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn no_line_is_lost_or_doubled_by_seals_under_traffic() {
    let engine = engine();
    let is_over = AtomicBool::new(false);
    let total = thread::scope(|scope| {
        let senders: Vec<_> = (0..3)
            .map(|sender| {
                let engine = &engine;
                scope.spawn(move || {
                    for round in 0..2000 {
                        let name = format!("n{}", round % 50);
                        ingest(engine, &format!("{name}:1|c\nall:1|c\nt{sender}:{round}|ms\nx"));
                    }
                })
            })
            .collect();
        let sealer = scope.spawn(|| {
            let (mut total, mut tick) = (0.0, 0.0);
            while !is_over.load(Ordering::Relaxed) {
                tick += 10.0;
                total += sum(&rows(&engine.rotate(at(tick))), "all");
                assert_balanced(&engine.ledger());
            }
            total + sum(&rows(&engine.rotate(at(tick + 10.0))), "all")
        });
        for sender in senders {
            sender.join().unwrap();
        }
        is_over.store(true, Ordering::Relaxed);
        sealer.join().unwrap()
    });
    assert_eq!(total, 6000.0);
    let ledger = engine.ledger();
    assert_eq!((ledger.lines, ledger.aggregated), (24_000, 18_000));
}

#[test]
fn a_single_packet_is_taken_at_once_and_a_later_short_batch_repeats_nothing() {
    let engine = engine();
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    receiver.set_nonblocking(true).unwrap();
    let address = receiver.local_addr().unwrap();
    engine.attach(OwnedFd::from(receiver), 7, "udp", Dialect::default()).unwrap();
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut lines = 0;
    for count in [1, 30, 1, 2] {
        for _ in 0..count {
            sender.send_to(b"a:1|c\nb:2|g", address).unwrap();
        }
        lines += 2 * count;
        until("delivery", || engine.ledger().lines >= lines);
        assert_eq!(engine.ledger().lines, lines);
    }
    engine.detach(7);
    let interval = engine.rotate(at(10.0));
    assert_eq!(sum(&rows(&interval), "a"), 34.0);
}

#[test]
fn detaching_takes_what_the_kernel_holds_and_keeps_the_books() {
    let engine = engine();
    let (sender, receiver) = UnixDatagram::pair().unwrap();
    receiver.set_nonblocking(true).unwrap();
    engine.attach(OwnedFd::from(receiver), 3, "unixgram", Dialect::default()).unwrap();
    for _ in 0..500 {
        sender.send(b"a:1|c").unwrap();
    }
    engine.detach(3);
    let ledger = engine.ledger();
    assert_eq!(ledger.lines, 500);
    assert_eq!(ledger.listeners[0].1.datagrams, 500);
    assert_eq!(ledger.listeners[0].1.kernel_dropped, None);
    assert_eq!(sum(&rows(&engine.rotate(at(10.0))), "a"), 500.0);
    assert!(sender.send(b"a:1|c").is_err(), "nobody reads any more");
}

#[test]
fn what_a_flood_loses_is_counted_to_the_last_datagram() {
    let engine = engine();
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    receiver.set_nonblocking(true).unwrap();
    let address = receiver.local_addr().unwrap();
    engine.attach(OwnedFd::from(receiver), 3, "udp", Dialect::default()).unwrap();
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    let datagram = vec!["flood.of.lines:1|c"; 70].join("\n");
    for _ in 0..50_000 {
        sender.send_to(datagram.as_bytes(), address).unwrap();
    }
    until("balance", || {
        let traffic = engine.ledger().listeners[0].1;
        traffic.datagrams + traffic.kernel_dropped.unwrap() == 50_000
    });
    let ledger = engine.ledger();
    assert_eq!(ledger.lines, ledger.listeners[0].1.datagrams * 70);
}

#[test]
fn a_series_of_several_readers_is_one_series() {
    let engine = engine();
    let pairs: Vec<_> = (0..3).map(|_| UnixDatagram::pair().unwrap()).collect();
    let senders: Vec<_> = (0..)
        .zip(pairs)
        .map(|(id, (sender, receiver))| {
            receiver.set_nonblocking(true).unwrap();
            engine.attach(OwnedFd::from(receiver), id, "unixgram", Dialect::default()).unwrap();
            sender
        })
        .collect();
    for sender in &senders {
        sender.send(b"c:1|c\nt:5|ms\nt:7|ms\ns:x|s\ng:+2|g").unwrap();
    }
    until("delivery", || engine.ledger().lines == 15);
    let rows = rows(&engine.rotate(at(10.0)));
    assert_eq!(rows.len(), 4);
    let row = |name: &str| rows.iter().find(|row| row.key().name() == name).unwrap();
    assert_eq!(row("c").sum, 3.0);
    assert_eq!((row("t").count, row("t").min, row("t").max), (6.0, Some(5.0), Some(7.0)));
    assert_eq!((row("s").count, row("s").unique), (3.0, Some(1)));
    assert_eq!((row("g").last, row("g").max), (Some(6.0), Some(6.0)));
}

#[test]
fn a_question_for_one_name_finds_all_its_series_and_no_other() {
    let engine = engine();
    for number in 0..3000 {
        ingest(&engine, &format!("a:{number}|c|#i:{number}\nother{number}:1|c\na:1|g"));
    }
    drop(engine.rotate(at(10.0)));
    assert_eq!(ask(&engine, "a", 60.0).len(), 3001);
    assert_eq!(ask(&engine, "other7", 60.0).len(), 1);
    assert_eq!(ask(&engine, "other*", 60.0).len(), 3000);
    assert!(ask(&engine, "none", 60.0).is_empty());
}

#[test]
fn an_interval_that_is_kept_does_not_change_when_its_series_are_forgotten() {
    let engine = engine();
    ingest(&engine, "old:1|c\nold_gauge:5|g");
    let interval = engine.rotate(at(10.0));
    for tick in 2..800 {
        drop(engine.rotate(at(f64::from(tick) * 10.0)));
    }
    assert_eq!(engine.ledger().series_active, 0);
    for number in 0..1000 {
        ingest(&engine, &format!("new{number}:1|c\nnew{number}:1|g"));
    }
    let mut names: Vec<_> = rows(&interval).iter().map(|row| row.key().name().to_owned()).collect();
    names.sort();
    assert_eq!(names, ["old", "old_gauge"]);
}

#[test]
fn a_spelling_whose_series_was_forgotten_starts_a_new_one() {
    let engine = engine();
    ingest(&engine, "a:1|c\na:1|c");
    for tick in 1..800 {
        drop(engine.rotate(at(f64::from(tick) * 10.0)));
    }
    ingest(&engine, "b:10|c\na:1|c\na:1|c\na:1|c");
    let interval = engine.rotate(at(8000.0));
    assert_eq!(sum(&rows(&interval), "a"), 3.0);
    assert_eq!(sum(&rows(&interval), "b"), 10.0);
    assert_eq!(engine.ledger().series_active, 2);
}

#[test]
fn dropping_the_engine_ends_its_readers() {
    let engine = engine();
    let (sender, receiver) = UnixDatagram::pair().unwrap();
    receiver.set_nonblocking(true).unwrap();
    engine.attach(OwnedFd::from(receiver), 3, "unixgram", Dialect::default()).unwrap();
    drop(engine);
    assert!(sender.send(b"a:1|c").is_err());
}

#[test]
fn a_sender_who_never_repeats_a_spelling_is_counted_to_the_last_line() {
    let settings = Settings {
        interval: 10.0,
        windows: vec![10.0],
        series_limit: 10,
        series_expiry: 3600.0,
        set_exact_limit: 1000,
        histogram_scale: 6,
    };
    let engine = Engine::new(at(0.0), &settings);
    // Some twenty generations of routes, all to one series.
    for number in 0..21_000 {
        ingest(&engine, &format!("a:1|c|c:container-{number}\na:1|c|c:container-{number}"));
    }
    assert_eq!(engine.ledger().aggregated, 42_000);
    assert_eq!(sum(&rows(&engine.rotate(at(10.0))), "a"), 42_000.0);
}
