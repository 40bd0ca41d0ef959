//! Everything else that a network is made of: shapes, pooling, padding and what follows the last
//! quantized layer.

use tract_onnx::pb::NodeProto;

use super::linear::window;
use super::recognise::{At, Recogniser};
use super::value::{Content, Pending, Sum, ValueId, View, is_planes, vector};
use crate::int8::graph::{Elements, Op, Shape, Tensor, Window};
use crate::int8::pack::product;
use crate::limits::RANK;
use crate::onnx::proto::{axis, input, integer, integers, text};
use crate::onnx::sizes::reshaped;

impl Recogniser<'_> {
    fn content_shape(&self, content: &Content) -> Option<Shape> {
        Some(match content {
            Content::Pixels(value)
            | Content::Picture(value, _)
            | Content::Codes(value, _)
            | Content::Function(value, _)
            | Content::Floats(value) => self.lowering.shape(*value),
            Content::Pending(pending) => pending.shape,
            Content::Norm(..) | Content::Outside => return None,
        })
    }

    /// Integers that are an attribute of the node or, since a later operator set, an input.
    fn listed(&self, node: &NodeProto, name: &str, index: usize) -> Option<Vec<i64>> {
        match integers(node, name) {
            Some(values) => Some(values.to_vec()),
            None => self.constants.get(input(node, index)?)?.integers(2 * RANK),
        }
    }

    /// `Transpose` between plane by plane and channels last.
    pub(super) fn transpose(&self, node: &NodeProto) -> Option<View> {
        let view = self.view(node, 0)?;
        let shape = self.content_shape(&view.content)?;
        let Shape { height, width, channels } = shape;
        let last = [1, height, width, channels];
        let one_order = shape.positions() == 1 || channels == 1;
        let (dims, planes) = match *integers(node, "perm")? {
            [0, 3, 1, 2] if view.dims == last && (!view.planes || one_order) => {
                (vec![1, channels, height, width], true)
            }
            [0, 2, 3, 1] if is_planes(view, shape) => (last.to_vec(), false),
            _ => return None,
        };
        Some(View { dims, planes, content: view.content.clone() })
    }

    /// `Reshape`, `Flatten`, `Squeeze` and `Unsqueeze`: the order of the elements stays.
    pub(super) fn reshape(&self, node: &NodeProto) -> Option<View> {
        let view = self.view(node, 0)?;
        self.content_shape(&view.content)?;
        let dims = match node.op_type.as_str() {
            "Flatten" => {
                let axis = integer(node, "axis").unwrap_or(1);
                let axis = axis_or_end(axis, view.dims.len())?;
                let (outer, inner) = view.dims.split_at(axis);
                vec![product(outer)?, product(inner)?]
            }
            "Reshape" => {
                let target = self.constants.get(input(node, 1)?)?.integers(RANK)?;
                let copies = integer(node, "allowzero").unwrap_or(0) == 0;
                reshaped(&view.dims, &target, copies)?
            }
            "Squeeze" => {
                let rank = view.dims.len();
                let axes: Option<Vec<usize>> =
                    self.listed(node, "axes", 1)?.iter().map(|&at| axis(at, rank)).collect();
                let axes = axes?;
                let kept = (0..rank).filter(|at| !axes.contains(at));
                kept.map(|at| view.dims[at]).collect()
            }
            _ => {
                let axes = self.listed(node, "axes", 1)?;
                let rank = view.dims.len() + axes.len();
                let axes: Option<Vec<usize>> = axes.iter().map(|&at| axis(at, rank)).collect();
                let axes = axes?;
                let mut old = view.dims.iter();
                let dims = (0..rank)
                    .map(|at| if axes.contains(&at) { Some(1) } else { old.next().copied() });
                dims.collect::<Option<_>>()?
            }
        };
        let same = product(&dims)? == product(&view.dims)?;
        same.then(|| View { dims, ..view.clone() })
    }

    /// A mean over all positions.
    pub(super) fn average_pool(&self, at: At<'_>, node: &NodeProto) -> Option<View> {
        let view = self.view(node, 0)?;
        let Content::Function(value, None) = view.content else { return None };
        let shape = self.lowering.shape(value);
        let keeps = integer(node, "keepdims").unwrap_or(1) != 0;
        let over_all = match node.op_type.as_str() {
            "ReduceMean" => {
                let axes = self.listed(node, "axes", 1)?;
                let mut axes: Vec<_> = axes.iter().map(|&at| axis(at, 4)).collect();
                axes.sort_unstable();
                axes == [Some(2), Some(3)]
            }
            "AveragePool" => {
                let Window { size, padding, .. } = window(node, [0, 0])?;
                size == [shape.height, shape.width]
                    && padding == Window::POINT.padding
                    && integer(node, "ceil_mode").unwrap_or(0) == 0
            }
            _ => true,
        };
        let channels = shape.channels;
        let dims = if keeps { vec![1, channels, 1, 1] } else { vec![1, channels] };
        let pending = Pending::new(at.1, Sum::Pool(value), vector(channels));
        let view = View { dims, planes: true, content: Content::Pending(pending) };
        (over_all && is_planes(self.view(node, 0)?, shape)).then_some(view)
    }

    /// The value of a view on plain codes, quantized or dequantized, plane by plane.
    fn codes(&self, view: &View) -> Option<ValueId> {
        let (Content::Function(value, None) | Content::Codes(value, _)) = view.content else {
            return None;
        };
        is_planes(view, self.lowering.shape(value)).then_some(value)
    }

    /// A view like `view` on other codes of the same quantization.
    fn replaced(&self, view: &View, value: ValueId) -> View {
        let Shape { height, width, channels } = self.lowering.shape(value);
        let content = match view.content {
            Content::Codes(_, encoding) => Content::Codes(value, encoding),
            _ => Content::Function(value, None),
        };
        View { dims: vec![1, channels, height, width], planes: true, content }
    }

    /// `MaxPool`.
    pub(super) fn max_pool(&mut self, at: At<'_>, node: &NodeProto) -> Option<View> {
        let view = self.view(node, 0)?.clone();
        let value = self.codes(&view)?;
        integers(node, "kernel_shape")?;
        let window = window(node, [1, 1])?;
        let padding = window.padding;
        let covers = padding.top.max(padding.bottom) < window.size[0]
            && padding.left.max(padding.right) < window.size[1];
        let whole = integer(node, "ceil_mode").unwrap_or(0) == 0 && node.output.len() == 1;
        if !covers || !whole {
            return None;
        }
        let Tensor { shape, elements } = self.lowering.tensors[value];
        let [height, width] = window.output_size(shape)?;
        let result = Tensor { shape: Shape { height, width, ..shape }, elements };
        let pooled = self.lowering.step(at, Op::MaxPool(window), &[value], result);
        Some(self.replaced(&view, pooled))
    }

    /// `Pad` with channels of 0 behind the others.
    pub(super) fn pad(&mut self, at: At<'_>, node: &NodeProto) -> Option<View> {
        let view = self.view(node, 0)?.clone();
        let value = self.codes(&view)?;
        let pads = self.constants.get(input(node, 1)?)?.integers(2 * RANK)?;
        let &[0, 0, 0, 0, 0, more, 0, 0] = &pads[..] else { return None };
        let zero = match input(node, 2) {
            None => true,
            Some(name) => self.scalar(name)? == 0.0,
        };
        let constant = text(node, "mode").is_none_or(|mode| mode == "constant");
        let dequantized = matches!(view.content, Content::Function(..));
        if !zero || !constant || !dequantized || input(node, 3).is_some() {
            return None;
        }
        let Tensor { shape, elements } = self.lowering.tensors[value];
        let channels = shape.channels.checked_add(usize::try_from(more).ok()?)?;
        let result = Tensor { shape: Shape { channels, ..shape }, elements };
        let padded = self.lowering.step(at, Op::PadChannels, &[value], result);
        Some(self.replaced(&view, padded))
    }

    /// `ReduceL2` of all values.
    pub(super) fn norm(&mut self, at: At<'_>, node: &NodeProto) -> Option<View> {
        let view = self.view(node, 0)?.clone();
        let [axis] = self.listed(node, "axes", 1)?[..] else { return None };
        let &[1, length] = &view.dims[..] else { return None };
        let keeps = integer(node, "keepdims").unwrap_or(1) != 0;
        if !matches!(axis, 1 | -1) || !keeps || self.content_shape(&view.content)? != vector(length)
        {
            return None;
        }
        let value = self.lowering.floats(at, &view)?;
        Some(View { dims: vec![1, 1], planes: false, content: Content::Norm(value, 0.0) })
    }

    /// `Div` of a vector by its norm.
    pub(super) fn normalise(&mut self, at: At<'_>, left: &View, right: &View) -> Option<View> {
        let Content::Norm(value, epsilon) = right.content else { return None };
        let &[1, length] = &left.dims[..] else { return None };
        let shape = self.content_shape(&left.content)?;
        if shape != vector(length) || self.lowering.floats(at, left)? != value {
            return None;
        }
        let result = Tensor { shape, elements: Elements::Floats };
        let value = self.lowering.step(at, Op::Normalise { epsilon }, &[value], result);
        Some(View { content: Content::Floats(value), ..left.clone() })
    }

    /// `Concat` of floats that lie in ONNX as they do here.
    pub(super) fn concat(&mut self, at: At<'_>, node: &NodeProto) -> Option<View> {
        let views: Option<Vec<View>> =
            (0..node.input.len()).map(|index| self.view(node, index).cloned()).collect();
        let views = views?;
        let mut dims = views.first()?.dims.clone();
        let along = axis(integer(node, "axis")?, dims.len())?;
        dims[along] = 0;
        for view in &views {
            let shape = self.content_shape(&view.content)?;
            let in_order = !view.planes || shape.positions() == 1 || shape.channels == 1;
            let alike = view.dims.len() == dims.len()
                && (0..dims.len()).all(|at| at == along || view.dims[at] == dims[at])
                && view.dims[..along].iter().all(|&size| size == 1);
            if !in_order || !alike {
                return None;
            }
            dims[along] = dims[along].checked_add(view.dims[along])?;
        }
        let plain =
            |view: &View| matches!(view.content, Content::Floats(_) | Content::Function(_, None));
        if !views.iter().all(plain) {
            return None;
        }
        let inputs: Option<Vec<ValueId>> =
            views.iter().map(|view| self.lowering.floats(at, view)).collect();
        let shape = vector(product(&dims)?);
        let result = Tensor { shape, elements: Elements::Floats };
        let value = self.lowering.step(at, Op::Concatenate, &inputs?, result);
        Some(View { dims, planes: false, content: Content::Floats(value) })
    }
}

fn axis_or_end(at: i64, rank: usize) -> Option<usize> {
    if at == rank as i64 { Some(rank) } else { axis(at, rank) }
}
