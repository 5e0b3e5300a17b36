//! One array seen as another: axes reversed, permuted, split, merged and cropped.

use std::convert::Infallible;

use ndarray::{Array, ArrayD, ArrayViewD, Axis, CowArray, IxDyn, Slice};

/// One way to see an array differently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// These axes run backwards.
    Reverse(Vec<usize>),
    /// Axis `i` is what was axis `axes[i]`.
    Permute(Vec<usize>),
    /// The same elements in row-major order, in other extents.
    Reshape {
        /// Before.
        from: Vec<usize>,
        /// After.
        to: Vec<usize>,
    },
    /// Of an axis of `whole` cells those from `start` on.
    Crop {
        /// Which axis.
        axis: usize,
        /// Its extent before.
        whole: usize,
        /// The first cell that is left.
        start: usize,
        /// Its extent after.
        cells: usize,
    },
    /// The adjoint of that: zeros around.
    Embed {
        /// Which axis.
        axis: usize,
        /// Its extent after.
        whole: usize,
        /// Where the first cell comes to lie.
        start: usize,
        /// Its extent before.
        cells: usize,
    },
}

impl Change {
    fn adjoint(&self) -> Self {
        match self {
            Self::Reverse(axes) => Self::Reverse(axes.clone()),
            Self::Permute(axes) => Self::Permute(places(axes)),
            Self::Reshape { from, to } => Self::Reshape { from: to.clone(), to: from.clone() },
            &Self::Crop { axis, whole, start, cells } => Self::Embed { axis, whole, start, cells },
            &Self::Embed { axis, whole, start, cells } => Self::Crop { axis, whole, start, cells },
        }
    }

    /// The extents after it; `None` if it does not apply to those before.
    fn shape(&self, before: &[usize]) -> Option<Vec<usize>> {
        match self {
            Self::Reverse(axes) => axes.iter().all(|&a| a < before.len()).then(|| before.to_vec()),
            Self::Permute(axes) => {
                let mut sorted = axes.clone();
                sorted.sort_unstable();
                let is_one = sorted.iter().copied().eq(0..before.len());
                is_one.then(|| axes.iter().map(|&a| before[a]).collect())
            }
            Self::Reshape { from, to } => {
                let count = |extents: &[usize]| extents.iter().try_fold(1usize, |n, &e| n.checked_mul(e));
                (from == before && count(from)? == count(to)?).then(|| to.clone())
            }
            &Self::Crop { axis, whole, start, cells } | &Self::Embed { axis, whole, start, cells } => {
                let (wanted, given) =
                    if matches!(self, Self::Crop { .. }) { (whole, cells) } else { (cells, whole) };
                let inside = start.checked_add(cells).is_some_and(|end| end <= whole);
                let mut after = before.to_vec();
                let extent = after.get_mut(axis).filter(|extent| inside && **extent == wanted)?;
                *extent = given;
                Some(after)
            }
        }
    }
}

/// Where each number of `0..axes.len()` stands in `axes`.
fn places(axes: &[usize]) -> Vec<usize> {
    let mut places = vec![0; axes.len()];
    for (at, &axis) in axes.iter().enumerate() {
        if let Some(place) = places.get_mut(axis) {
            *place = at;
        }
    }
    places
}

/// An array seen as another: changes, the first one first. The default changes nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View(Vec<Change>);

impl View {
    /// Then also with these axes backwards.
    #[must_use]
    pub fn reversed(self, axes: impl Into<Vec<usize>>) -> Self {
        let axes = axes.into();
        if axes.is_empty() { self } else { self.then(Change::Reverse(axes)) }
    }

    /// Then also with axis `i` being what was axis `axes[i]`.
    #[must_use]
    pub fn permuted(self, axes: impl Into<Vec<usize>>) -> Self {
        let axes = axes.into();
        if axes.iter().copied().eq(0..axes.len()) { self } else { self.then(Change::Permute(axes)) }
    }

    /// Then also with the extents `to` instead of `from`, the elements in row-major order.
    #[must_use]
    pub fn reshaped(self, from: impl Into<Vec<usize>>, to: impl Into<Vec<usize>>) -> Self {
        let (from, to) = (from.into(), to.into());
        if from == to { self } else { self.then(Change::Reshape { from, to }) }
    }

    /// Then also with an axis of `whole` cells cut to `cells` from `start` on.
    #[must_use]
    pub fn cropped(self, axis: usize, whole: usize, start: usize, cells: usize) -> Self {
        let nothing = start == 0 && cells == whole;
        if nothing { self } else { self.then(Change::Crop { axis, whole, start, cells }) }
    }

    fn then(mut self, change: Change) -> Self {
        self.0.push(change);
        self
    }

    /// Then also seen as `view` sees it.
    #[must_use]
    pub fn then_all(mut self, view: &Self) -> Self {
        self.0.extend_from_slice(&view.0);
        self
    }

    /// The changes, the first one first.
    pub fn changes(&self) -> &[Change] {
        &self.0
    }

    /// The adjoint: the view that undoes this one, with zeros for what was cropped.
    #[must_use]
    pub fn adjoint(&self) -> Self {
        Self(self.0.iter().rev().map(Change::adjoint).collect())
    }

    /// The extents that it gives an array of these; `None` if it does not apply.
    pub fn shape(&self, of: &[usize]) -> Option<Vec<usize>> {
        self.0.iter().try_fold(of.to_vec(), |shape, change| change.shape(&shape))
    }

    /// The array so seen, copied only where merged or split axes do not lie in order or zeros come in; `None` if it does
    /// not apply.
    pub fn of<'a, T: Clone + Default>(&self, array: ArrayViewD<'a, T>) -> Option<CowArray<'a, T, IxDyn>> {
        let Ok(seen) = self.over(array.into(), &|_| Ok::<_, Infallible>(()));
        seen
    }

    /// The same of an array that may be nobody else's, and is then not copied. `room` is asked before anything is, with the bytes.
    pub(crate) fn over<'a, T: Clone + Default, E>(
        &self,
        array: CowArray<'a, T, IxDyn>,
        room: &dyn Fn(u64) -> Result<(), E>,
    ) -> Result<Option<CowArray<'a, T, IxDyn>>, E> {
        let mut seen = array;
        for change in &self.0 {
            let Some(after) = change.shape(seen.shape()) else { return Ok(None) };
            if change.copies(&seen) {
                room(after.iter().fold(size_of::<T>() as u64, |n, &e| n.saturating_mul(e as u64)))?;
            }
            match change.apply(seen, after) {
                Some(after) => seen = after,
                None => return Ok(None),
            }
        }
        Ok(Some(seen))
    }
}

impl Change {
    /// Whether it makes a new array of this one.
    fn copies<T>(&self, array: &CowArray<'_, T, IxDyn>) -> bool {
        match self {
            Self::Embed { .. } => true,
            Self::Reshape { .. } => !array.is_standard_layout(),
            _ => false,
        }
    }

    /// The array with it, `after` its extents then; `None` if it does not apply.
    fn apply<'a, T: Clone + Default>(
        &self,
        mut seen: CowArray<'a, T, IxDyn>,
        after: Vec<usize>,
    ) -> Option<CowArray<'a, T, IxDyn>> {
        Some(match self {
            Self::Permute(axes) => seen.permuted_axes(axes.clone()),
            Self::Reverse(axes) => {
                axes.iter().for_each(|&axis| seen.invert_axis(Axis(axis)));
                seen
            }
            &Self::Crop { axis, start, cells, .. } => {
                seen.slice_axis_inplace(Axis(axis), Slice::from(start..start + cells));
                seen
            }
            &Self::Embed { axis, start, cells, .. } => {
                let elements = after.iter().try_fold(size_of::<T>().max(1), |n, &e| n.checked_mul(e.max(1)));
                isize::try_from(elements?).ok()?;
                let mut whole = ArrayD::from_elem(after, T::default());
                let mut part = whole.slice_axis_mut(Axis(axis), Slice::from(start..start + cells));
                part.assign(&seen);
                whole.into()
            }
            Self::Reshape { .. } if !self.copies(&seen) => seen.into_shape_with_order(after).ok()?,
            Self::Reshape { .. } => {
                let mut values = Vec::with_capacity(seen.len());
                values.extend(seen.iter().cloned());
                Array::from_shape_vec(after, values).ok()?.into()
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_adjoint_undoes_a_view() {
        let mut next = 0;
        let array = ArrayD::from_shape_simple_fn(vec![2, 3, 4], || {
            next += 1;
            next
        });
        let view = View::default().permuted([2, 0, 1]).reshaped([4, 2, 3], [4, 6]).reversed([1]);
        let seen = view.of(array.view()).expect("it applies");
        assert_eq!(Some(seen.shape().to_vec()), view.shape(&[2, 3, 4]));
        assert_eq!((seen[[0, 0]], seen[[1, 5]]), (array[[1, 2, 0]], array[[0, 0, 1]]));
        let back = view.adjoint();
        assert_eq!(back.of(seen.view()).expect("it applies"), array);
        assert_eq!(back.adjoint(), view);
    }

    #[test]
    fn the_adjoint_of_a_crop_fills_with_zeros() {
        let array = Array::from_shape_vec((2, 4), (1..9).collect()).expect("eight numbers").into_dyn();
        let view = View::default().cropped(1, 4, 1, 2);
        let seen = view.of(array.view()).expect("it applies");
        assert_eq!(seen.iter().copied().collect::<Vec<i32>>(), [2, 3, 6, 7]);
        let back = view.adjoint().of(seen.view()).expect("it applies").into_owned();
        assert_eq!(back.iter().copied().collect::<Vec<i32>>(), [0, 2, 3, 0, 0, 6, 7, 0]);
        assert_eq!(view.cropped(0, 3, 0, 1).shape(&[2, 4]), None);
        assert_eq!(View::default().cropped(0, 2, 1, 2).shape(&[2, 4]), None);
    }

    #[test]
    fn a_view_of_other_extents_is_none() {
        let view = View::default().reshaped([2, 3], [6]);
        assert_eq!(view.shape(&[3, 2]), None);
        assert!(view.of(ArrayD::<f32>::zeros(vec![3, 2]).view()).is_none());
        assert_eq!(View::default().permuted([1, 1]).shape(&[2, 2]), None);
        assert_eq!(View::default().reversed([2]).shape(&[2, 2]), None);
        assert_eq!(View::default().reshaped([2], [3]).shape(&[2]), None);
    }
}
