//! `Table`: any function of one code. In ONNX it is an [activation](super::activation) of codes,
//! arithmetic with a constant, or arithmetic of two functions of the same code.

use std::rc::Rc;

use super::compiler::{Compiled, Compiler, codes, expect_shape};
use super::context::{Context, Work};
use super::lowering::{Content, LoweredNode, ValueId, View};
use super::recogniser::Recogniser;
#[cfg(test)]
use super::values::{Given, Values};
use crate::error::LayerError;
use crate::graph::{Node, Op};

/// `operation` of each element of `view`, a picture or codes, and of the constant called `constant`.
pub fn with_constant(
    recogniser: &Recogniser<'_>,
    view: &View,
    constant: &str,
    operation: impl Fn(f32, f32) -> f32,
) -> Option<View> {
    let content = match &view.content {
        Content::Picture(value, tables) => {
            let shape = recogniser.lowering.shape(*value);
            let constant = recogniser.per_channel(constant, view, shape)?;
            let tables = std::array::from_fn(|channel| {
                tables[channel].map(|x| operation(x, constant[channel]))
            });
            Content::Picture(*value, Rc::new(tables))
        }
        Content::Function(value, table) => {
            if recogniser.constant_dims(constant)?.len() > view.dims.len() {
                return None;
            }
            let constant = recogniser.scalar(constant)?;
            let table = recogniser.function(*value, table.as_ref())?;
            Content::Function(*value, Some(Rc::new(table.map(|x| operation(x, constant)))))
        }
        _ => return None,
    };
    Some(View { content, ..view.clone() })
}

/// Two functions of the same code are one function of it.
pub fn combine(
    recogniser: &Recogniser<'_>,
    left: &View,
    right: &View,
    operation: fn(f32, f32) -> f32,
) -> Option<View> {
    let (value, first) = root(recogniser, &left.content)?;
    let (other, second) = root(recogniser, &right.content)?;
    if value != other || left.dims != right.dims || left.planes != right.planes {
        return None;
    }
    let table = std::array::from_fn(|code| operation(first[code], second[code]));
    Some(View { content: Content::Function(value, Some(Rc::new(table))), ..left.clone() })
}

/// The codes that all tables before this function go back to, and the function of them.
fn root(recogniser: &Recogniser<'_>, content: &Content) -> Option<(ValueId, [f32; 256])> {
    let Content::Function(value, function) = content else { return None };
    let mut value = *value;
    let mut function = recogniser.function(value, function.as_ref())?;
    while let Some(node) = recogniser.lowering.producer(value)
        && let LoweredNode { op: Op::Table(table), inputs, .. } = &recogniser.lowering.nodes[node]
    {
        let of = function;
        function = table.map(|code| of[usize::from(code as u8)]);
        value = inputs[0];
    }
    Some((value, function))
}

/// Of bytes, as the codes lie in memory.
struct Table([u8; 256]);

/// Puts the table in the order of the bytes.
pub fn compile(
    compiler: &Compiler<'_>,
    node: &Node,
    table: &[i8; 256],
) -> Result<Compiled, LayerError> {
    let [input, output] = compiler.ends(node);
    codes(input)?;
    codes(output)?;
    expect_shape(input.shape == output.shape)?;
    let encoding = compiler.encoding();
    Ok(Compiled::new(Table(std::array::from_fn(|byte| {
        let code = encoding.decode(byte as u8);
        encoding.encode(table[usize::from(code as u8)])
    }))))
}

impl Work for Table {
    fn run(&self, context: &Context<'_>) {
        let (input, row_bytes) = (context.bytes(0), context.output.row_bytes());
        context.bands(context.share(), &|rows, output| {
            let input = &input[rows.start * row_bytes..rows.end * row_bytes];
            context.kernels.lut(input, output, &self.0);
        });
    }
}

/// The oracle.
#[cfg(test)]
pub fn reference(table: &[i8; 256], input: &Given<'_>) -> Values {
    Values::Codes(input.codes().iter().map(|&code| table[usize::from(code as u8)]).collect())
}

#[cfg(test)]
mod tests {
    use crate::lower::tests::{NEAR, STEP, assert_whole, conv};
    use crate::onnx::example::{Attribute, Model};

    #[test]
    fn activations_of_codes_are_tables() {
        let spellings: [fn(&mut Model, &str) -> String; 7] = [
            |model, x| model.node("Relu", &[x], &[]),
            |model, x| {
                let gate = model.node("HardSigmoid", &[x], &[]);
                let gate = model.quantized(&gate, 1.0 / 255.0, -128);
                model.node("Mul", &[&gate, x], &[])
            },
            |model, x| {
                let attributes =
                    [("alpha", Attribute::Float(1.0 / 6.0)), ("beta", Attribute::Float(0.5))];
                let gate = model.node("HardSigmoid", &[x], &attributes);
                model.node("Mul", &[x, &gate], &[])
            },
            |model, x| {
                let (three, six, zero) = (model.scalar(3.0), model.scalar(6.0), model.scalar(0.0));
                let sum = model.node("Add", &[&three, x], &[]);
                let gate = model.node("Clip", &[&sum, &zero, &six], &[]);
                let product = model.node("Mul", &[&gate, x], &[]);
                model.node("Div", &[&product, &six], &[])
            },
            |model, x| model.node("Sigmoid", &[x], &[]),
            |model, x| model.node("LeakyRelu", &[x], &[("alpha", Attribute::Float(0.3))]),
            |model, x| {
                let one = model.scalar(1.0);
                model.node("Sub", &[&one, x], &[])
            },
        ];
        for spelling in spellings {
            let mut model = Model::default();
            let conv = conv(&mut model);
            let codes = model.quantized(&conv, 0.025, 3);
            let active = spelling(&mut model, &codes);
            let output = model.quantized(&active, STEP, -30);
            let expected =
                ["QuantizePicture", "Convolution", "Table", "Dequantize", "PositionsToPlanes"];
            assert_whole(&model.finish(&[&output]), 2.0 * NEAR, &expected);
        }
    }
}
