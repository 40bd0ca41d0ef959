//! Nodes that order values anew, or compute each from one or two.

use tract_onnx::pb::tensor_proto::DataType;

use super::{Known, OUT_OF_RANGE, Reason, UNFIT, UNFIXED, Value, constant_dims};
use crate::limits::{RANK, product};
use crate::onnx::proto::{axis, input, integer, integers, text};

impl Known<'_> {
    /// One input, and a result of its size.
    pub(super) fn alone(&self) -> Result<Value, Reason> {
        if self.node.input.len() != 1 {
            return Err(UNFIT);
        }
        Ok(Value::new(self.first()?.to_vec()))
    }

    /// As [`alone`](Self::alone), with single numbers behind the input.
    pub(super) fn with_numbers(&self) -> Result<Value, Reason> {
        let single = (1..self.node.input.len()).all(|index| self.count(index).unwrap_or(1) == 1);
        if !single {
            return Err(UNFIT);
        }
        Ok(Value::new(self.first()?.to_vec()))
    }

    pub(super) fn cast(&self) -> Result<Value, Reason> {
        let to = integer(self.node, "to").and_then(|to| i32::try_from(to).ok());
        match to.map(DataType::try_from) {
            Some(Ok(
                DataType::Float
                | DataType::Uint8
                | DataType::Int8
                | DataType::Int32
                | DataType::Int64
                | DataType::Bool,
            )) => self.alone(),
            _ => Err(OUT_OF_RANGE),
        }
    }

    /// `QuantizeLinear` and `DequantizeLinear`: one scale, or one for each index along an axis.
    pub(super) fn quantized(&self) -> Result<Value, Reason> {
        let dims = self.first()?;
        let scales = self.count(1).ok_or(UNFIT)?;
        let along = axis(integer(self.node, "axis").unwrap_or(1), dims.len());
        let per_axis = along.is_some_and(|along| dims[along] == scales);
        let zero_points = self.count(2).unwrap_or(scales);
        if zero_points != scales || !(scales == 1 || per_axis) {
            return Err(UNFIT);
        }
        if integer(self.node, "block_size").unwrap_or(0) != 0 {
            return Err(OUT_OF_RANGE);
        }
        Ok(Value::new(dims.to_vec()))
    }

    /// A normalisation with numbers for each channel.
    pub(super) fn normalised(&self) -> Result<Value, Reason> {
        let dims = self.first()?;
        let channels = dims.get(1).copied();
        let others = 1..self.node.input.len();
        if !others.clone().all(|index| self.count(index) == channels) || others.is_empty() {
            return Err(UNFIT);
        }
        Ok(Value::new(dims.to_vec()))
    }

    pub(super) fn broadcast(&self) -> Result<Value, Reason> {
        let mut dims = self.first()?.to_vec();
        for index in 1..self.node.input.len() {
            dims = broadcast(&dims, self.dims(index).ok_or(UNFIT)?).ok_or(UNFIT)?;
        }
        Ok(Value::new(dims))
    }

    pub(super) fn constant(&self) -> Result<Value, Reason> {
        let [attribute] = &self.node.attribute[..] else { return Err(UNFIXED) };
        let dims = match (attribute.name.as_str(), &attribute.t) {
            ("value", Some(tensor)) => constant_dims(tensor).map_err(|_| UNFIT)?,
            ("value_float" | "value_int", _) => vec![],
            ("value_floats", _) => vec![attribute.floats.len()],
            ("value_ints", _) => vec![attribute.ints.len()],
            _ => return Err(UNFIXED),
        };
        Ok(Value::new(dims))
    }

    pub(super) fn transpose(&self) -> Result<Value, Reason> {
        let dims = self.first()?;
        let Some(perm) = integers(self.node, "perm") else {
            return Ok(Value::new(dims.iter().rev().copied().collect()));
        };
        let mut free = vec![true; dims.len()];
        let mut take = |&from: &i64| {
            let from = usize::try_from(from).ok()?;
            std::mem::take(free.get_mut(from)?).then(|| dims[from])
        };
        let turned: Option<Vec<usize>> = perm.iter().map(&mut take).collect();
        let turned = turned.filter(|turned| turned.len() == dims.len()).ok_or(OUT_OF_RANGE)?;
        Ok(Value::new(turned))
    }

    pub(super) fn reshape(&self) -> Result<Value, Reason> {
        let copies = integer(self.node, "allowzero").unwrap_or(0) == 0;
        let dims = reshaped(self.first()?, &self.integers(1)?, copies).ok_or(UNFIT)?;
        Ok(Value::new(dims))
    }

    pub(super) fn flatten(&self) -> Result<Value, Reason> {
        let dims = self.first()?;
        let at = integer(self.node, "axis").unwrap_or(1);
        let at = if at == dims.len() as i64 { Some(dims.len()) } else { axis(at, dims.len()) };
        let (outer, inner) = dims.split_at(at.ok_or(OUT_OF_RANGE)?);
        let sizes = product(outer).zip(product(inner)).ok_or(UNFIT)?;
        Ok(Value::new(vec![sizes.0, sizes.1]))
    }

    /// Axes that are an attribute or, since a later operator set, an input; `None` where neither is
    /// there.
    pub(super) fn axes(&self, rank: usize) -> Result<Option<Vec<usize>>, Reason> {
        let listed = match (integers(self.node, "axes"), input(self.node, 1)) {
            (Some(axes), None) => axes.to_vec(),
            (None, Some(_)) => self.integers(1)?,
            (None, None) => return Ok(None),
            (Some(_), Some(_)) => return Err(OUT_OF_RANGE),
        };
        if listed.len() > rank {
            return Err(OUT_OF_RANGE);
        }
        let mut axes: Vec<usize> =
            listed.iter().map(|&at| axis(at, rank)).collect::<Option<_>>().ok_or(OUT_OF_RANGE)?;
        axes.sort_unstable();
        let count = axes.len();
        axes.dedup();
        if axes.len() == count { Ok(Some(axes)) } else { Err(OUT_OF_RANGE) }
    }

    pub(super) fn squeeze(&self) -> Result<Value, Reason> {
        let dims = self.first()?;
        let axes = self.axes(dims.len())?.ok_or(UNFIXED)?;
        if !axes.iter().all(|&at| dims[at] == 1) {
            return Err(UNFIT);
        }
        let kept = (0..dims.len()).filter(|at| !axes.contains(at));
        Ok(Value::new(kept.map(|at| dims[at]).collect()))
    }

    pub(super) fn unsqueeze(&self) -> Result<Value, Reason> {
        let dims = self.first()?;
        let added = match integers(self.node, "axes") {
            Some(axes) => axes.len(),
            None => self.count(1).ok_or(UNFIXED)?,
        };
        let rank = dims.len().checked_add(added).filter(|&rank| rank <= RANK);
        let rank = rank.ok_or(OUT_OF_RANGE)?;
        let axes = self.axes(rank)?.ok_or(UNFIXED)?;
        let mut old = dims.iter().copied();
        let size = |at| if axes.contains(&at) { Some(1) } else { old.next() };
        let dims: Option<Vec<usize>> = (0..rank).map(size).collect();
        Ok(Value::new(dims.ok_or(UNFIT)?))
    }

    pub(super) fn concat(&self) -> Result<Value, Reason> {
        let mut dims = self.first()?.to_vec();
        let along = integer(self.node, "axis").and_then(|at| axis(at, dims.len()));
        let along = along.ok_or(OUT_OF_RANGE)?;
        for index in 1..self.node.input.len() {
            let other = self.dims(index).ok_or(UNFIT)?;
            let alike = other.len() == dims.len()
                && (0..dims.len()).all(|at| at == along || other[at] == dims[at]);
            if !alike {
                return Err(UNFIT);
            }
            dims[along] = dims[along].checked_add(other[along]).ok_or(UNFIT)?;
        }
        Ok(Value::new(dims))
    }

    /// `Pad` with one number.
    pub(super) fn pad(&self) -> Result<Value, Reason> {
        let dims = self.first()?;
        let pads = self.integers(1)?;
        let constant = text(self.node, "mode").is_none_or(|mode| mode == "constant");
        if pads.len() != 2 * dims.len() || !constant || input(self.node, 3).is_some() {
            return Err(OUT_OF_RANGE);
        }
        let padded = |at: usize| {
            let [before, after] = [pads[at], pads[dims.len() + at]].map(usize::try_from);
            dims[at].checked_add(before.ok()?)?.checked_add(after.ok()?)
        };
        let dims: Option<Vec<usize>> = (0..dims.len()).map(padded).collect();
        Ok(Value::new(dims.ok_or(OUT_OF_RANGE)?))
    }

    /// `Shape` of all dimensions, which are numbers in the file.
    pub(super) fn shape(&self) -> Result<Value, Reason> {
        if !self.node.attribute.is_empty() {
            return Err(OUT_OF_RANGE);
        }
        Ok(Value::new(vec![self.first()?.len()]))
    }

    /// `Slice` from front to back.
    pub(super) fn slice(&self) -> Result<Value, Reason> {
        let mut dims = self.first()?.to_vec();
        let (starts, ends) = (self.integers(1)?, self.integers(2)?);
        let axes = match input(self.node, 3) {
            Some(_) => self.integers(3)?,
            None => (0..).take(starts.len()).collect(),
        };
        let steps = match input(self.node, 4) {
            Some(_) => self.integers(4)?,
            None => vec![1; starts.len()],
        };
        if [ends.len(), axes.len(), steps.len()] != [starts.len(); 3] {
            return Err(UNFIT);
        }
        for (at, &axis_number) in axes.iter().enumerate() {
            let along = axis(axis_number, dims.len()).ok_or(OUT_OF_RANGE)?;
            let length = i64::try_from(dims[along]).map_err(|_| UNFIT)?;
            let place = |place: i64| {
                if place < 0 { place.saturating_add(length).max(0) } else { place.min(length) }
            };
            let count = (place(ends[at]) - place(starts[at])).max(0);
            let step = usize::try_from(steps[at]).ok().filter(|&step| step > 0);
            let count = usize::try_from(count).map_err(|_| UNFIT)?;
            dims[along] = count.div_ceil(step.ok_or(OUT_OF_RANGE)?);
        }
        Ok(Value::new(dims))
    }
}

/// The size of what two sizes are both repeated to.
pub(super) fn broadcast(left: &[usize], right: &[usize]) -> Option<Vec<usize>> {
    let rank = left.len().max(right.len());
    let at = |dims: &[usize], axis: usize| {
        (axis + dims.len()).checked_sub(rank).map_or(1, |axis| dims[axis])
    };
    let dims = (0..rank).map(|axis| match (at(left, axis), at(right, axis)) {
        (left, right) if left == right || right == 1 => Some(left),
        (1, right) => Some(right),
        _ => None,
    });
    dims.collect()
}

/// The size that `Reshape` to `target` gives; `copies` says that 0 stands for the size before.
pub fn reshaped(dims: &[usize], target: &[i64], copies: bool) -> Option<Vec<usize>> {
    let sizes: Option<Vec<Option<usize>>> = target
        .iter()
        .enumerate()
        .map(|(at, &size)| match size {
            -1 => Some(None),
            0 if copies => dims.get(at).copied().map(Some),
            size => usize::try_from(size).ok().map(Some),
        })
        .collect();
    let sizes = sizes?;
    let known: Vec<usize> = sizes.iter().flatten().copied().collect();
    let rest = product(dims)?.checked_div(product(&known)?)?;
    let sizes: Vec<usize> = sizes.into_iter().map(|size| size.unwrap_or(rest)).collect();
    (product(&sizes) == product(dims)).then_some(sizes)
}
