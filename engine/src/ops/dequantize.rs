//! `Dequantize`: codes to floats. In ONNX it is `DequantizeLinear`, which becomes a node only where floats
//! are asked for.

use tract_onnx::pb::NodeProto;

use super::compiler::{Compiled, Compiler, codes, expect_floats, expect_shape};
use super::context::{Context, Work};
use super::lowering::{Content, View};
use super::recogniser::Recogniser;
#[cfg(test)]
use super::values::{Given, Values};
use crate::error::LayerError;
use crate::graph::{Node, Quantization};

/// `DequantizeLinear` of codes that are lowered.
pub fn recognise(recogniser: &Recogniser<'_>, node: &NodeProto) -> Option<View> {
    let view = recogniser.view(node, 0)?;
    let Content::Codes(value, signedness) = view.content else { return None };
    let expected = (recogniser.lowering.quantization(value)?, signedness);
    let content = Content::Function(value, None);
    (recogniser.affine(node, Some(signedness))? == expected)
        .then(|| View { content, ..view.clone() })
}

struct Dequantize(Quantization);

/// Checks the sizes.
pub fn compile(compiler: &Compiler<'_>, node: &Node) -> Result<Compiled, LayerError> {
    let [input, output] = compiler.ends(node);
    expect_floats(&[output])?;
    expect_shape(input.shape == output.shape)?;
    Ok(Compiled::new(Dequantize(codes(input)?)))
}

impl Work for Dequantize {
    fn run(&self, context: &Context<'_>) {
        let encoding = context.encoding();
        let zero = encoding.value(self.0.zero_point);
        let positions = context.bytes(0).chunks_exact(context.place(0).stride_bytes);
        let channels = context.output.tensor.shape.channels;
        context.fill_floats(|output| {
            for (target, source) in output.chunks_exact_mut(channels).zip(positions) {
                for (value, &byte) in target.iter_mut().zip(source) {
                    *value = (encoding.read(byte) - zero) as f32 * self.0.scale;
                }
            }
        });
    }
}

/// The oracle.
#[cfg(test)]
pub fn reference(input: &Given<'_>) -> Values {
    let scale = input.quantization().scale;
    Values::Floats(input.steps().iter().map(|&steps| steps as f32 * scale).collect())
}
