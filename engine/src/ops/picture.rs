//! `QuantizePicture`: bytes of a picture to codes, by a function for each channel. In ONNX it is a `Cast`
//! to float32, any arithmetic on each channel by itself, and a `QuantizeLinear`.

use std::rc::Rc;

use tract_onnx::pb::NodeProto;

use super::compiler::{Compiled, Compiler, codes, expect_shape};
use super::context::{Context, Work};
use super::lowering::{Content, View};
use super::recogniser::Recogniser;
#[cfg(test)]
use super::values::{Given, Values};
use crate::error::LayerError;
use crate::graph::{Elements, Node};
use crate::kernels::lines::Lines;
use crate::onnx::proto::integer;

/// `Cast` to float32: of the picture, or of what is float32 already.
pub fn cast(recogniser: &Recogniser<'_>, node: &NodeProto) -> Option<View> {
    let view = recogniser.view(node, 0)?;
    let content = match (&view.content, integer(node, "to")?) {
        (&Content::Pixels(value), 1) => {
            let identity = std::array::from_fn(|byte| byte as f32);
            Content::Picture(value, Rc::new([identity; 3]))
        }
        (Content::Picture(..) | Content::Function(..) | Content::Floats(_), 1) => {
            view.content.clone()
        }
        _ => return None,
    };
    Some(View { content, ..view.clone() })
}

/// Through a line for each channel, as the bytes lie in the output.
struct ThroughLines(Lines);

/// Through a table for each channel.
struct ThroughTables([[u8; 256]; 3]);

/// Finds lines for the tables where there are some and the codes lie as the bytes do.
pub fn compile(
    compiler: &Compiler<'_>,
    node: &Node,
    tables: &[[i8; 256]; 3],
) -> Result<Compiled, LayerError> {
    let [input, output] = compiler.ends(node);
    codes(output)?;
    expect_shape(input.elements == Elements::Pixels)?;
    expect_shape(input.shape == output.shape && input.shape.channels == 3)?;
    let encoding = compiler.encoding();
    let tables = [0, 1, 2].map(|channel: usize| tables[channel].map(|code| encoding.encode(code)));
    let tight = compiler.places[node.output].stride_bytes == input.shape.channels;
    let bounds = [encoding.value(i8::MIN), encoding.value(i8::MAX)];
    Ok(match Lines::fit(&tables, |byte| encoding.read(byte), bounds) {
        Some(lines) if tight => Compiled::new(ThroughLines(lines)),
        _ => Compiled::new(ThroughTables(tables)),
    })
}

impl Work for ThroughLines {
    fn run(&self, context: &Context<'_>) {
        let (input, row_bytes) = (context.bytes(0), context.place(0).row_bytes());
        context.bands(context.share(), &|rows, output| {
            let input = &input[rows.start * row_bytes..rows.end * row_bytes];
            context.kernels.lines(input, output, &self.0);
        });
    }
}

impl Work for ThroughTables {
    fn run(&self, context: &Context<'_>) {
        let (input, row_bytes) = (context.bytes(0), context.place(0).row_bytes());
        let stride = context.output.stride_bytes;
        context.bands(context.share(), &|rows, output| {
            let input = &input[rows.start * row_bytes..rows.end * row_bytes];
            for (codes, pixel) in output.chunks_exact_mut(stride).zip(input.chunks_exact(3)) {
                for ((code, &value), table) in codes.iter_mut().zip(pixel).zip(&self.0) {
                    *code = table[usize::from(value)];
                }
            }
        });
    }
}

/// The oracle.
#[cfg(test)]
pub fn reference(tables: &[[i8; 256]; 3], input: &Given<'_>) -> Values {
    let code = |(at, &pixel): (usize, &u8)| tables[at % 3][usize::from(pixel)];
    Values::Codes(input.pixels().iter().enumerate().map(code).collect())
}

#[cfg(test)]
mod tests {
    use crate::lower::tests::{NEAR, PICTURE, STEP, whole};
    use crate::onnx::example::{Attribute, Model};

    #[test]
    fn picture_with_channels_last_and_division() {
        let mut model = Model::default();
        let perm = [("perm", Attribute::Integers(vec![0, 3, 1, 2]))];
        let planes = model.node("Transpose", &["image"], &perm);
        let floats = model.node("Cast", &[&planes], &[("to", Attribute::Integer(1))]);
        let (mean, deviation) =
            (model.scalar(127.5), model.floats(&[3, 1, 1], &[127.5, 130.0, 90.0]));
        let centred = model.node("Sub", &[&floats, &mean], &[]);
        let normalised = model.node("Div", &[&centred, &deviation], &[]);
        let picture = model.quantized(&normalised, PICTURE, -3);
        let conv = model.conv(&picture, [4, 3, 1, 1], 1, [0; 4]);
        let output = model.quantized(&conv, STEP, 0);
        assert_eq!(whole(&model.finish(&[&output]), NEAR)[..2], ["QuantizePicture", "Convolution"]);
    }
}
