//! Arguments of a function in Python, some by position and some by name, as the payload of a task: a struct has both, for its fields are in an order.

use bytes::Bytes;
use serde::de::{DeserializeOwned, Deserializer, Error as _, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::{Error, Map, Value};

/// How a payload begins that is arguments of both kinds. No type's own JSON begins like this unless it wants to be one.
const BEGINS: &[u8] = br#"{"redrive.args":"#;

#[derive(Serialize, Deserialize)]
struct Arguments {
    #[serde(rename = "redrive.args")]
    args: Vec<Value>,
    #[serde(rename = "redrive.kwargs")]
    kwargs: Map<String, Value>,
}

/// Writes arguments as a payload: named ones as an object, positional ones as a list, both in a form that only [`read`] knows.
pub(super) fn payload(args: Vec<Value>, kwargs: Map<String, Value>) -> Result<Bytes, Error> {
    let text = match (args.is_empty(), kwargs.is_empty()) {
        (true, _) => serde_json::to_vec(&kwargs)?,
        (false, true) => serde_json::to_vec(&args)?,
        (false, false) => serde_json::to_vec(&Arguments { args, kwargs })?,
    };
    Ok(text.into())
}

/// Reads a payload of either form.
pub(crate) fn read<T: DeserializeOwned>(payload: &[u8]) -> Result<T, Error> {
    if payload.starts_with(BEGINS) {
        T::deserialize(serde_json::from_slice::<Arguments>(payload)?)
    } else {
        serde_json::from_slice(payload)
    }
}

impl<'de> Deserializer<'de> for Arguments {
    type Error = Error;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let Self { args, mut kwargs } = self;
        if args.len() > fields.len() {
            return Err(Error::custom(format!("{} positional arguments for the {} fields of `{name}`", args.len(), fields.len())));
        }
        for (field, value) in fields.iter().zip(args) {
            if kwargs.insert((*field).to_owned(), value).is_some() {
                return Err(Error::custom(format!("`{field}` is given by position and by name")));
            }
        }
        Value::Object(kwargs).deserialize_any(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _name: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Error> {
        Err(Error::custom("positional and named arguments together are taken by a struct with named fields only"))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct seq tuple tuple_struct map enum identifier
        ignored_any
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[expect(clippy::struct_field_names, reason = "the names are those on the wire")]
    #[derive(Deserialize, Debug, PartialEq)]
    struct Price {
        price: u32,
        #[serde(rename = "amount")]
        quantity: u32,
        #[serde(default)]
        label: String,
    }

    fn call<T: DeserializeOwned>(args: Value, kwargs: Value) -> Result<T, Error> {
        let payload = payload(serde_json::from_value(args).unwrap(), serde_json::from_value(kwargs).unwrap()).unwrap();
        read(&payload)
    }

    /// As Python binds them.
    #[test]
    fn arguments_find_their_fields_by_position_and_by_name() {
        let price = |label: &str| Price { price: 3, quantity: 4, label: label.to_owned() };
        assert_eq!(call::<Price>(json!([3, 4, "x"]), json!({})).unwrap(), price("x"));
        assert_eq!(call::<Price>(json!([3]), json!({"label": "x", "amount": 4})).unwrap(), price("x"));
        assert_eq!(call::<Price>(json!([3, 4]), json!({"label": "x"})).unwrap(), price("x"));
        assert_eq!(call::<Price>(json!([]), json!({"price": 3, "amount": 4})).unwrap(), price(""));
    }

    #[test]
    fn what_python_would_refuse_is_refused() {
        for (args, kwargs) in [
            (json!([3]), json!({"price": 3, "amount": 4})),
            (json!([3, 4, "x", 5]), json!({"more": 1})),
            (json!([3]), json!({"label": "x"})),
        ] {
            assert!(call::<Price>(args.clone(), kwargs.clone()).is_err(), "{args} {kwargs}");
        }
        assert!(call::<Vec<u32>>(json!([3]), json!({"a": 1})).unwrap_err().to_string().contains("a struct with named fields"));
    }
}
