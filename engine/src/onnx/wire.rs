//! Looks over the bytes of an ONNX file before they are parsed. Parsing makes much of little: a
//! list of empty nodes takes a hundred times its bytes. So the memory that it will take is counted
//! here, and what no model of celebcam has is refused.

use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto,
    TensorAnnotation, TensorProto, TensorShapeProto, TypeProto, ValueInfoProto, tensor_proto,
    tensor_shape_proto, type_proto,
};

use crate::error::{Limit, ModelError};
use crate::limits::PARSED_BYTES;

/// What a field of a message holds.
enum Holds {
    /// Another message.
    Message(&'static Message),
    /// Numbers of one byte or more, which take eight each.
    Varints,
    /// Numbers of a fixed length.
    Fixed,
    /// What no model of celebcam has.
    Refused(&'static str),
}

/// A message as it is parsed.
struct Message {
    /// Bytes of memory.
    bytes: usize,
    /// Fields by number. All others are a number or bytes.
    fields: &'static [(u64, Holds)],
}

use Holds::{Fixed, Message as Inner, Refused, Varints};

const SUBGRAPH: &str = "one of its nodes holds a graph of its own";
const SPARSE: &str = "it holds sparse weights; export it with plain ones";
const UNKNOWN: &str = "it holds attributes of a kind that celebcam does not know";

static MODEL: Message = Message {
    bytes: size_of::<ModelProto>(),
    fields: &[
        (7, Inner(&GRAPH)),
        (8, Inner(&OPERATOR_SET)),
        (14, Inner(&ENTRY)),
        (20, Refused("it holds a training graph; export it for inference")),
        (25, Refused("it holds functions of its own; export it without")),
    ],
};

static GRAPH: Message = Message {
    bytes: size_of::<GraphProto>(),
    fields: &[
        (1, Inner(&NODE)),
        (5, Inner(&TENSOR)),
        (11, Inner(&VALUE)),
        (12, Inner(&VALUE)),
        (13, Inner(&VALUE)),
        (14, Inner(&ANNOTATION)),
        (15, Refused(SPARSE)),
    ],
};

static NODE: Message = Message { bytes: size_of::<NodeProto>(), fields: &[(5, Inner(&ATTRIBUTE))] };

static ATTRIBUTE: Message = Message {
    bytes: size_of::<AttributeProto>(),
    fields: &[
        (5, Inner(&TENSOR)),
        (6, Refused(SUBGRAPH)),
        (7, Fixed),
        (8, Varints),
        (10, Refused(UNKNOWN)),
        (11, Refused(SUBGRAPH)),
        (15, Refused(UNKNOWN)),
        (22, Refused(SPARSE)),
        (23, Refused(SPARSE)),
    ],
};

static TENSOR: Message = Message {
    bytes: size_of::<TensorProto>(),
    fields: &[
        (1, Varints),
        (3, Inner(&SEGMENT)),
        (4, Fixed),
        (5, Varints),
        (7, Varints),
        (10, Fixed),
        (11, Varints),
        (13, Refused("its weights are in another file; export it as one self-contained file")),
    ],
};

static SEGMENT: Message = Message { bytes: size_of::<tensor_proto::Segment>(), fields: &[] };

static ENTRY: Message = Message { bytes: size_of::<StringStringEntryProto>(), fields: &[] };

static OPERATOR_SET: Message = Message { bytes: size_of::<OperatorSetIdProto>(), fields: &[] };

static ANNOTATION: Message =
    Message { bytes: size_of::<TensorAnnotation>(), fields: &[(2, Inner(&ENTRY))] };

static VALUE: Message =
    Message { bytes: size_of::<ValueInfoProto>(), fields: &[(2, Inner(&TYPE))] };

static TYPE: Message =
    Message { bytes: size_of::<TypeProto>(), fields: &[(1, Inner(&TENSOR_TYPE))] };

static TENSOR_TYPE: Message =
    Message { bytes: size_of::<type_proto::Tensor>(), fields: &[(2, Inner(&SHAPE))] };

static SHAPE: Message =
    Message { bytes: size_of::<TensorShapeProto>(), fields: &[(1, Inner(&DIMENSION))] };

static DIMENSION: Message =
    Message { bytes: size_of::<tensor_shape_proto::Dimension>(), fields: &[] };

/// Bytes of memory that a text takes beside its own: a list has room for four.
const TEXT_BYTES: usize = 4 * size_of::<String>();

/// Checks that the file is well-formed and takes at most [`PARSED_BYTES`] once it is parsed.
///
/// # Errors
///
/// [`ModelError::NotOnnx`] when it is not well-formed, [`Limit::Parsed`] when it takes more, and
/// [`ModelError::Unsupported`] when it holds something that is not supported.
pub fn check(bytes: &[u8]) -> Result<(), ModelError> {
    Walk { left_bytes: PARSED_BYTES }.message(bytes, &MODEL)
}

struct Walk {
    /// How much memory the rest of the file may take.
    left_bytes: usize,
}

impl Walk {
    /// A list that grows holds its elements twice for a moment.
    fn take_twice(&mut self, bytes: usize) -> Result<(), ModelError> {
        self.take(bytes.saturating_mul(2))
    }

    fn take(&mut self, bytes: usize) -> Result<(), ModelError> {
        self.left_bytes = self.left_bytes.checked_sub(bytes).ok_or(Limit::Parsed)?;
        Ok(())
    }

    /// The fields of a message; messages nest as deep as their kinds do.
    fn message(&mut self, mut bytes: &[u8], message: &'static Message) -> Result<(), ModelError> {
        self.take_twice(message.bytes)?;
        while !bytes.is_empty() {
            let key = varint(&mut bytes)?;
            let holds = message.fields.iter().find(|(number, _)| *number == key >> 3);
            let holds = holds.map(|(_, holds)| holds);
            if let Some(Refused(reason)) = holds {
                return Err(ModelError::Unsupported(reason));
            }
            match key & 7 {
                0 => {
                    varint(&mut bytes)?;
                    self.take_twice(size_of::<u64>())?;
                }
                1 => self.fixed(&mut bytes, 8)?,
                5 => self.fixed(&mut bytes, 4)?,
                2 => {
                    let length =
                        usize::try_from(varint(&mut bytes)?).map_err(|_| ModelError::NotOnnx)?;
                    let (inner, rest) =
                        bytes.split_at_checked(length).ok_or(ModelError::NotOnnx)?;
                    bytes = rest;
                    match holds {
                        Some(Inner(kind)) => self.message(inner, kind)?,
                        Some(Varints) => {
                            self.take_twice(inner.len().saturating_mul(size_of::<u64>()))?;
                        }
                        Some(Fixed) => self.take_twice(inner.len())?,
                        _ => self.take(inner.len().saturating_add(TEXT_BYTES))?,
                    }
                }
                _ => return Err(ModelError::NotOnnx),
            }
        }
        Ok(())
    }

    fn fixed(&mut self, bytes: &mut &[u8], length: usize) -> Result<(), ModelError> {
        *bytes = bytes.split_at_checked(length).ok_or(ModelError::NotOnnx)?.1;
        self.take_twice(length)
    }
}

/// A number of seven bits a byte, the lowest first.
fn varint(bytes: &mut &[u8]) -> Result<u64, ModelError> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first().ok_or(ModelError::NotOnnx)?;
        *bytes = rest;
        value |= u64::from(byte & 127) << shift;
        if byte < 128 {
            return Ok(value);
        }
    }
    Err(ModelError::NotOnnx)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn varint_bytes(mut value: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        while value > 127 {
            bytes.push(value as u8 | 128);
            value >>= 7;
        }
        bytes.push(value as u8);
        bytes
    }

    /// A field that holds bytes.
    fn field(number: u64, content: &[u8]) -> Vec<u8> {
        let key = varint_bytes(number << 3 | 2);
        [&key, &varint_bytes(content.len() as u64)[..], content].concat()
    }

    #[test]
    fn the_shipped_models_pass() {
        for bytes in [
            &include_bytes!("../../../models/celebrities.onnx")[..],
            include_bytes!("../../../models/celebrities135.onnx"),
            include_bytes!("../../../models/detector.onnx"),
            include_bytes!("../../../models/aligner.onnx"),
        ] {
            let mut walk = Walk { left_bytes: PARSED_BYTES };
            walk.message(bytes, &MODEL).expect("a shipped model");
            let taken = PARSED_BYTES - walk.left_bytes;
            assert!(taken < bytes.len() + 6_000_000, "{taken} of {}", bytes.len());
        }
    }

    #[test]
    fn little_that_would_become_much_is_refused() {
        let empty_nodes = field(7, &[10, 0].repeat(500_000));
        let empty_texts = field(7, &field(1, &[10, 0].repeat(1_000_000)));
        let numbers = field(7, &field(5, &field(5, &[0].repeat(3_000_000))));
        let unpacked = field(7, &field(5, &[8, 1].repeat(3_000_000)));
        let large = field(7, &field(5, &field(9, &[0].repeat(PARSED_BYTES))));
        for bytes in [empty_nodes, empty_texts, numbers, unpacked, large] {
            let error = check(&bytes).expect_err("it is too much");
            assert_eq!(error.to_string(), "it takes more than 40 MB of memory, which is the limit");
        }
        check(&field(7, &field(5, &field(9, &[0; 10_000])))).expect("it is little");
    }

    #[test]
    fn what_no_model_has_is_refused_by_name() {
        let attribute = |number| field(7, &field(1, &field(5, &field(number, &[]))));
        for (bytes, words) in [
            (attribute(6), "a graph of its own"),
            (attribute(11), "a graph of its own"),
            (attribute(22), "sparse"),
            (attribute(10), "does not know"),
            (field(7, &field(15, &[])), "sparse"),
            (field(7, &field(5, &field(13, &[]))), "in another file"),
            (field(20, &[]), "training"),
            (field(25, &[]), "functions"),
        ] {
            let error = check(&bytes).expect_err(words).to_string();
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn broken_bytes_are_refused() {
        let whole = field(7, &field(1, &field(3, b"name")));
        check(&whole).expect("it is whole");
        for length in 1..whole.len() {
            assert!(check(&whole[..length]).is_err(), "{length}");
        }
        for bytes in [&[0xff; 11][..], &[0x0b], &[0x0c], &[0x0e], &[9, 0], &[13, 0], b"words"] {
            assert!(matches!(check(bytes), Err(ModelError::NotOnnx)), "{bytes:?}");
        }
        let endless = [58, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1];
        assert!(matches!(check(&endless), Err(ModelError::NotOnnx)));
    }
}
