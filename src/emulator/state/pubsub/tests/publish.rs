//! What is published, as the log has it.

use proptest::prelude::*;
use prost::Message as _;

use super::*;
use crate::emulator::state::saved::{Reader, Saved, Writer};

fn message() -> impl Strategy<Value = pb::PubsubMessage> {
    let text = || proptest::option::weighted(0.3, ".{0,200}").prop_map(Option::unwrap_or_default);
    let attributes = proptest::collection::btree_map(".{0,5}", ".{0,5}", 0..3);
    let time = proptest::option::weighted(0.1, (any::<i64>(), any::<i32>()));
    (proptest::collection::vec(any::<u8>(), 0..300), attributes, text(), time, text()).prop_map(
        |(data, attributes, message_id, publish_time, ordering_key)| pb::PubsubMessage {
            data: data.into(),
            attributes,
            message_id,
            publish_time: publish_time.map(|(seconds, nanos)| prost_types::Timestamp { seconds, nanos }),
            ordering_key,
        },
    )
}

proptest! {
    /// The record of a publish is written by hand, and is what `prost` writes.
    #[test]
    fn its_record_is_its_message(topic in ".{0,20}", messages in proptest::collection::vec(message(), 0..5)) {
        let request = pb::PublishRequest { topic, messages };
        let (mut wanted, mut found) = (Writer::default(), Writer::default());
        "before".to_owned().save(&mut wanted);
        "before".to_owned().save(&mut found);
        wanted.message(&request);
        request.save(&mut found);
        prop_assert_eq!(&wanted.bytes, &found.bytes);
        let mut from = Reader::new(&found.bytes[wanted.bytes.len() - 8 - request.encoded_len()..]);
        prop_assert_eq!(pb::PublishRequest::load(&mut from).unwrap(), request);
    }
}
