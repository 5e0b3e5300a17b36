//! Two arrays of the same axes, some of them convolved and the others multiplied with broadcasting, as one grouped
//! convolution.

use super::View;
use crate::problem::ProblemError;

/// How the axes of two arrays are those of a convolution: an axis that only the first has is one of images, one that
/// only the second has is one of filters, one of both is one of groups.
#[derive(Clone, Debug)]
pub(crate) struct Batched {
    first: Vec<usize>,
    second: Vec<usize>,
    images: Vec<usize>,
    groups: Vec<usize>,
    filters: Vec<usize>,
    /// The convolved axes.
    pub(crate) space: Vec<usize>,
}

impl Batched {
    /// Of every axis that is not convolved, the extents are the same or one of them is 1.
    pub(crate) fn new(first: &[usize], second: &[usize], convolved: &[bool]) -> Self {
        let axes = |wanted: &dyn Fn(usize, usize) -> bool| -> Vec<usize> {
            let batch = (0..first.len()).filter(|&a| !convolved[a]);
            batch.filter(|&a| wanted(first[a], second[a])).collect()
        };
        Self {
            images: axes(&|f, s| s == 1 || f == 0 && s == 0),
            groups: axes(&|f, s| f == s && s > 1),
            filters: axes(&|f, s| f != s && f == 1),
            space: (0..first.len()).filter(|&a| convolved[a]).collect(),
            first: first.to_vec(),
            second: second.to_vec(),
        }
    }

    fn pick(of: &[usize], axes: &[usize]) -> Vec<usize> {
        axes.iter().map(|&axis| of[axis]).collect()
    }

    /// The product of these extents.
    fn count(of: &[usize], axes: &[usize]) -> Result<usize, ProblemError> {
        let overflow = ProblemError::Overflow { what: "the product of the axes that are not convolved" };
        Self::pick(of, axes).into_iter().try_fold(1usize, usize::checked_mul).ok_or(overflow)
    }

    /// The number of groups.
    pub(crate) fn groups(&self) -> Result<usize, ProblemError> {
        Self::count(&self.first, &self.groups)
    }

    /// The extents of convolved axes; a single cell where there are none.
    fn space_of(&self, extents: &[usize]) -> Vec<usize> {
        if self.space.is_empty() { vec![1] } else { Self::pick(extents, &self.space) }
    }

    /// The first array as `[n, groups, X..]`.
    pub(crate) fn input(&self) -> Result<(Vec<usize>, View), ProblemError> {
        let order = [&self.images[..], &self.groups, &self.filters, &self.space].concat();
        let from = Self::pick(&self.first, &order);
        let n = Self::count(&self.first, &self.images)?;
        let shape = [vec![n, self.groups()?], self.space_of(&self.first)].concat();
        let view = View::default().permuted(order).reshaped(from, shape.clone());
        Ok((shape, view))
    }

    /// The second array as `[c_out, 1, K..]`.
    pub(crate) fn weight(&self) -> Result<(Vec<usize>, View), ProblemError> {
        let order = [&self.groups[..], &self.filters, &self.images, &self.space].concat();
        let from = Self::pick(&self.second, &order);
        let filters = Self::count(&self.second, &[&self.groups[..], &self.filters].concat())?;
        let shape = [vec![filters, 1], self.space_of(&self.second)].concat();
        let view = View::default().permuted(order).reshaped(from, shape.clone());
        Ok((shape, view))
    }

    /// The result `y`, of this shape, with the axes of the two arrays.
    pub(crate) fn output(&self, y: &[usize]) -> View {
        let order = [&self.images[..], &self.groups, &self.filters, &self.space].concat();
        let split = [
            Self::pick(&self.first, &self.images),
            Self::pick(&self.first, &self.groups),
            Self::pick(&self.second, &self.filters),
            if self.space.is_empty() { Vec::new() } else { y[2..].to_vec() },
        ];
        let order = View::default().permuted(order);
        View::default().reshaped(y, split.concat()).then_all(&order.adjoint())
    }
}
