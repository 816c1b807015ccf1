//! Avro's binary encoding (Avro 1.11, "Binary Encoding"), checked without building what it says.

use super::Node;

/// Types may hold themselves; a message goes this deep at most, so that a hostile one cannot exhaust the stack.
const DEPTH_MAX: u32 = 200;
/// Values in a message at most: one of 10 MB has no more, save of types that take no bytes.
const VALUES_MAX: u32 = 10_000_000;

const TOO_SHORT: &str = "Not enough data to parse for schema";

/// Checks a whole message.
pub(super) fn check(nodes: &[Node], root: usize, data: &[u8]) -> Result<(), String> {
    let mut reader = Reader { nodes, rest: data, values: 0 };
    reader.value(root, 0)?;
    if reader.rest.is_empty() { Ok(()) } else { Err("Too much data to parse for schema.".to_owned()) }
}

struct Reader<'a> {
    nodes: &'a [Node],
    rest: &'a [u8],
    values: u32,
}

impl<'a> Reader<'a> {
    fn value(&mut self, id: usize, depth: u32) -> Result<(), String> {
        self.values += 1;
        if depth > DEPTH_MAX || self.values > VALUES_MAX {
            return Err(format!("The message is nested more than {DEPTH_MAX} deep, or has more than {VALUES_MAX} values"));
        }
        let nodes = self.nodes;
        match &nodes[id] {
            Node::Null => Ok(()),
            Node::Boolean => match self.take(1)? {
                [0 | 1] => Ok(()),
                _ => Err("Invalid boolean".to_owned()),
            },
            Node::Int => i32::try_from(self.long()?).map(|_| ()).map_err(|_| "Integer out of range of an int".to_owned()),
            Node::Long => self.long().map(|_| ()),
            Node::Float => self.take(4).map(|_| ()),
            Node::Double => self.take(8).map(|_| ()),
            Node::Bytes => self.block().map(|_| ()),
            Node::Text => self.text(),
            Node::Fixed(size) => self.take(*size).map(|_| ()),
            Node::Enum(symbols) => self.index(symbols.len(), "Invalid enum index").map(|_| ()),
            Node::Array(items) => self.items(|reader| reader.value(*items, depth + 1)),
            Node::Map(items) => self.items(|reader| {
                reader.text()?;
                reader.value(*items, depth + 1)
            }),
            Node::Union(branches) => {
                let index = self.index(branches.len(), "Invalid union index")?;
                self.value(branches[index].1, depth + 1)
            }
            Node::Record(fields) => fields.iter().try_for_each(|(_, id)| self.value(*id, depth + 1)),
        }
    }

    /// Reads blocks of items until an empty one; a negative count is followed by the block's size.
    fn items(&mut self, mut item: impl FnMut(&mut Self) -> Result<(), String>) -> Result<(), String> {
        loop {
            let count = self.long()?;
            if count == 0 {
                return Ok(());
            }
            if count < 0 {
                self.long()?;
            }
            for _ in 0..count.unsigned_abs() {
                item(self)?;
            }
        }
    }

    fn text(&mut self) -> Result<(), String> {
        std::str::from_utf8(self.block()?).map(|_| ()).map_err(|_| "A string is not UTF-8".to_owned())
    }

    fn block(&mut self) -> Result<&'a [u8], String> {
        let length = usize::try_from(self.long()?).map_err(|_| "Invalid length".to_owned())?;
        self.take(length)
    }

    fn index(&mut self, count: usize, wrong: &str) -> Result<usize, String> {
        usize::try_from(self.long()?).ok().filter(|index| *index < count).ok_or_else(|| wrong.to_owned())
    }

    /// Reads a zig-zag number of variable length.
    fn long(&mut self) -> Result<i64, String> {
        let mut bits = 0_u64;
        for shift in (0..64).step_by(7) {
            let [byte] = *self.take(1)? else { return Err(TOO_SHORT.to_owned()) };
            bits |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok((bits >> 1).cast_signed() ^ -((bits & 1).cast_signed()));
            }
        }
        Err("Number of more than 64 bits".to_owned())
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or_else(|| TOO_SHORT.to_owned())?;
        self.rest = rest;
        Ok(taken)
    }
}
