//! Every field and byte arrives as it was, through the service: random bytes up to 10 MB, 100 attributes, ordering keys, unusual Unicode; and the
//! messages of a key in their order.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::campaign::Dice;
use super::handler::{Asked, Handler};
use super::*;

/// Everything is ordered, so that the order can be seen at the end.
const SEED: &str = "
topics: [{ name: orders }, { name: pushed }, { name: dead }, { name: elsewhere }]
subscriptions:
  - { name: billing, topic: orders, ordered: true, dead_letter: { topic: dead, max_attempts: 5 } }
  - { name: hold, topic: dead, ordered: true, exactly_once: true }
  - { name: other, topic: elsewhere, ordered: true }
";

/// Payload, attributes and ordering key of a message, at most (Pub/Sub's limit).
const MESSAGE_BYTES_MAX: usize = 10_000_000;
/// Messages of one key, among others.
const ROW: usize = 12;

/// Characters that break things: control characters, marks that join, turn round or are not seen, the ends of planes, what JSON and HTML escape.
const UNUSUAL: [&str; 14] = [
    "\0\u{1}\u{1f}\u{7f}\u{85}",
    "\r\n\t\u{8}\u{c}\u{b}",
    "\"\\/</script>&'`",
    "e\u{301}\u{323} é\u{feff}",
    "\u{202e}redro\u{202c} \u{2066}x\u{2069}",
    "\u{200b}\u{200d}\u{2060}\u{ad}",
    "👩‍👩‍👧‍👦🏳️‍🌈🇪🇺",
    "\u{2028}\u{2029}",
    "\u{d7ff}\u{e000}\u{f8ff}\u{fffd}\u{fffe}\u{ffff}",
    "\u{10000}\u{1ffff}\u{10ffff}",
    "ﷺ𒐫ཨྃ",
    "שָׁלוֹם مرحبا",
    "ｆｕｌｌ　ｗｉｄｔｈ İıſK",
    " leading and trailing ",
];

/// What one fixture has been given up by `source`: by number, as it was before.
struct Goods {
    world: World,
    handler: Handler,
    before: Vec<Draft>,
}

fn random_bytes(dice: &mut Dice, count: usize) -> Vec<u8> {
    (0..count.div_ceil(8)).flat_map(|_| dice.roll().to_le_bytes()).take(count).collect()
}

/// Cuts between characters.
fn cut(text: &str, bytes_max: usize) -> String {
    let end = (0..=bytes_max.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap();
    text[..end].to_owned()
}

/// The messages, without what tells that they were given up.
fn drafts(own_attributes_max: usize) -> Vec<Draft> {
    let mut dice = Dice(5);
    let mut drafts = Vec::new();
    let mut add = |data: Vec<u8>, attributes: BTreeMap<String, String>, ordering_key: String| {
        let number = ("n".to_owned(), drafts.len().to_string());
        drafts.push(Draft { data: data.into(), attributes: attributes.into_iter().chain([number]).collect(), ordering_key });
    };
    for size in [0, 1, 2, 3, 255, 4096, 65_537, 1_000_003] {
        add(random_bytes(&mut dice, size), BTreeMap::new(), String::new());
    }
    add((0..=255).collect(), BTreeMap::new(), String::new());
    // All texts in keys, values and ordering keys; the longest there may be.
    let unusual = UNUSUAL.concat();
    let attributes = UNUSUAL.iter().map(|text| (cut(&format!("k{text}"), 256), (*text).to_owned())).collect();
    add(UNUSUAL.concat().into_bytes(), attributes, UNUSUAL[0].to_owned());
    let many = (1..own_attributes_max).map(|n| (cut(&format!("{n:03}{}", unusual.repeat(2)), 256), cut(&unusual.repeat(6), 1024)));
    add(b"many".to_vec(), many.collect(), cut(&unusual.repeat(6), 1024));
    for n in 0..ROW {
        for text in &UNUSUAL[4..8] {
            add(vec![u8::try_from(n).unwrap(); n], BTreeMap::new(), (*text).to_owned());
        }
    }
    // With the marks of a dead letter just under the limit.
    add(random_bytes(&mut dice, MESSAGE_BYTES_MAX - 500), BTreeMap::new(), "large".to_owned());
    drafts
}

impl Goods {
    /// Has `source` give everything up.
    async fn given_up_by(source: &str) -> Self {
        let handler = Handler::start(|_| 204).await;
        let poster =
            format!("  - {{ name: poster, topic: pushed, push_endpoint: '{}', dead_letter: {{ topic: dead }} }}\n", handler.url("/"));
        let world = World::start(&format!("{SEED}{poster}")).await;
        // With the two that tell whose dead letter it is, 100.
        let before = drafts(98);
        for draft in &before {
            let mut draft = draft.clone();
            for (name, value) in [("", source), ("Project", "shop")] {
                draft.attributes.insert(format!("CloudPubSubDeadLetterSourceSubscription{name}"), value.to_owned());
            }
            world.ops.publish(&topic("dead"), draft).await.unwrap();
        }
        assert!(before.iter().any(|draft| draft.attributes.len() == 98), "100 with those two");
        Self { world, handler, before }
    }

    async fn transfer(&self, request: Request) -> Summary {
        let id = start(&self.world.ops, request).await;
        let done = follow(&self.world.ops, &id, is_over).await;
        let through = done.counts.moved + done.counts.discarded;
        assert_eq!((done.state, through, done.duplicates_max), (State::Done, self.before.len() as u64, 0), "{done:?}");
        done
    }

    fn all(&self, kind: Kind, delivery: Delivery) -> Request {
        Request { delivery, max: Some(self.before.len() as u64), ..request(kind, "hold") }
    }

    /// Compares what arrived with what was sent, the attributes without those that `is_added`.
    fn check(&self, arrived: &[Message], is_added: impl Fn(&str) -> bool) {
        assert_eq!(arrived.len(), self.before.len());
        let mut last: BTreeMap<&str, usize> = BTreeMap::new();
        for message in arrived {
            let number: usize = message.attributes["n"].parse().unwrap();
            let before = &self.before[number];
            assert!(message.data == before.data, "payload {number} of {} bytes", before.data.len());
            assert_eq!(message.ordering_key, before.ordering_key, "{number}");
            let mut attributes = message.attributes.clone();
            attributes.retain(|key, _| !is_added(key));
            assert_eq!(attributes, before.attributes, "{number}");
            if !message.ordering_key.is_empty() {
                let before = last.insert(&message.ordering_key, number);
                assert!(before < Some(number), "{number} of {:?} came after {before:?}", message.ordering_key);
            }
        }
    }
}

fn is_ours(key: &str) -> bool {
    key.starts_with("redrive-")
}

#[tokio::test]
async fn redriven_to_the_topic() {
    let goods = Goods::given_up_by("billing").await;
    goods.transfer(goods.all(Kind::Redrive, Delivery::SourceTopic)).await;
    let arrived = everything(&goods.world, "billing").await;
    goods.check(&arrived, is_ours);
    let marked = arrived.iter().filter(|message| message.attributes.contains_key("redrive-source")).count();
    assert!(marked >= goods.before.len() - 2, "only where there is no room they are not marked: {marked}");
}

#[tokio::test]
async fn redriven_for_one_subscription() {
    let goods = Goods::given_up_by("billing").await;
    goods.transfer(goods.all(Kind::Redrive, Delivery::Addressed)).await;
    let arrived = everything(&goods.world, "billing").await;
    assert!(arrived.iter().all(|message| message.attributes["redrive-to"] == "billing"));
    goods.check(&arrived, is_ours);
}

#[tokio::test]
async fn redriven_to_the_endpoint() {
    let goods = Goods::given_up_by("poster").await;
    goods.transfer(goods.all(Kind::Redrive, Delivery::Direct { private: false })).await;
    let arrived: Vec<Message> = goods.handler.asked().iter().map(Asked::message).collect();
    goods.check(&arrived, is_ours);
}

#[tokio::test]
async fn discarded_and_put_back() {
    let goods = Goods::given_up_by("billing").await;
    let discarded = goods.transfer(goods.all(Kind::Discard, Delivery::SourceTopic)).await;
    assert_eq!(everything(&goods.world, "hold").await.len(), 0);
    goods.transfer(Request::new(Kind::Undo, Source::Kept(discarded.id))).await;
    let back = everything(&goods.world, "hold").await;
    assert!(back.iter().all(|message| message.attributes["CloudPubSubDeadLetterSourceSubscription"] == "billing"));
    goods.check(&back, |key| key.starts_with("CloudPubSubDeadLetter") || key == "redrive-source");
}

#[tokio::test]
async fn exported_and_imported() {
    let goods = Goods::given_up_by("billing").await;
    let file = goods.world.home.join("all.jsonl");
    // Leased, what is left of an ordered subscription may block what lies behind it; from a snapshot nothing stands in the way.
    let export = goods.all(Kind::Export, Delivery::File(file.clone()));
    let leased = Request { reading: Some(redrive::ops::PeekMode::Leased), ..export.clone() };
    let refused = goods.world.ops.plan_transfer(leased).await.unwrap();
    assert!(refused.refusals.iter().any(|words| words.contains("blocks its key")), "{:?}", refused.refusals);
    goods.transfer(export).await;
    // Each line says all by itself.
    let text = std::fs::read_to_string(&file).unwrap();
    for line in text.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let number: usize = line["attributes"]["n"].as_str().unwrap().parse().unwrap();
        assert!(STANDARD.decode(line["data"].as_str().unwrap_or_default()).unwrap() == goods.before[number].data);
    }
    let import = Request { delivery: Delivery::Topic(topic("elsewhere")), ..Request::new(Kind::Redrive, Source::File(file)) };
    goods.transfer(import).await;
    goods.check(&everything(&goods.world, "other").await, is_ours);
    assert_eq!(everything(&goods.world, "hold").await.len(), goods.before.len(), "an export leaves everything");
}
