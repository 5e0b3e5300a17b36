//! `Fft` on the CPU: products of spectra of overlapping tiles, in all three directions.
//!
//! An axis is a list of phases (`phase`), each a correlation of neighbouring cells with neighbouring taps; what a tile of
//! them reads beyond its own length wraps around, so only the results that reach none of that are kept (overlap-save).
//! Lengths come from a cost model (`tiling`), not from the image. All sums have a fixed order, whatever the threads do.

mod cells;
mod cost;
mod phase;
mod product;
mod sum;
mod tame;
mod tiling;
pub(super) mod transform;
mod weight;

pub(super) use cost::direct as direct_cost;

use crate::cpu::Real;
use crate::cpu::direct::{Direct, Finish, Slices};
use crate::cpu::geometry::Geometry;
use crate::cpu::memory::{self, OutOfMemory, zeros};
use crate::cpu::padded::{self, PaddedPlanes};
use crate::geometry::{Line, Taps, joined_axes, most_sub_images};
use crate::implementation::{Cannot, Resource};
use crate::problem::{Boundary, ConvProblem, Direction, Element, TensorLayout, to_usize};
use cells::OverlapTile;
use phase::{DensePhase, Phases, side};
use tame::{Tame, Taming};
use tiling::{Load, Tiling, bins_of};
use transform::{TileBuffers, Transform, Transforms};

/// Bytes of spectra of tiles at a time.
const SPECTRA: usize = 32 << 20;
/// Bytes of spectra of filters at a time, unless they were prepared.
const FILTERS: usize = 64 << 20;
/// Tiles at a time: more share no load of a filter that is not cheap already.
const TILES: usize = 64;
/// Tiles at a time where these are what is summed over.
const SUMMED_TILES: usize = 1024;
/// Sub-images of strides and dilations: each has transforms of its own.
const MOST_PHASES: u64 = 1 << 12;
/// Bytes of scratch memory, unless operands and result have more.
const MOST_WORKSPACE: u64 = 1 << 30;
/// Points of a transform that is planned in less than a millisecond; the roots of a longer one are made in the first run.
const PLANNED_AT_ONCE: usize = 1 << 16;
/// Bytes of spectra of filters that are worth keeping.
const PREPARED: u64 = 1 << 30;

/// How much is done at a time, so that scratch memory stays bounded whatever the problem.
#[derive(Clone, Copy, Debug)]
struct Blocks {
    /// Spectra that fit [`SPECTRA`].
    spectra: usize,
    tiles: usize,
    sources: usize,
    results: usize,
    groups: usize,
}

/// A problem with its phases and tiles.
#[derive(Debug)]
pub(super) struct Fft {
    geometry: Geometry,
    axes: [Phases; 3],
    tiling: Tiling,
    blocks: Blocks,
    bytes: usize,
    transforms: Transforms,
}

/// The taps that some phases share, along each axis.
#[derive(Clone, Copy, Debug)]
struct Set {
    at: usize,
    taps: [usize; 3],
}

/// The tiles of one phase.
struct Tiles<'a> {
    fft: &'a Fft,
    phases: [DensePhase; 3],
    counts: [usize; 3],
}

/// Spectra of the filters of one plan.
#[derive(Debug)]
pub(super) struct Prepared<T> {
    lengths: [usize; 3],
    spectra: Vec<T>,
    /// What the spectra are of, if the weights were tamed.
    tame: Option<Tame<T>>,
}

impl Fft {
    /// # Errors
    ///
    /// Why it cannot run `problem`.
    pub(super) fn new(problem: &ConvProblem) -> Result<Self, Cannot> {
        if problem.unshared() {
            return Err(Cannot::Unshared);
        }
        let geometry = Geometry::new(problem);
        let direction = geometry.direction;
        // Input cells that are read again outside have their gradient in all cells that windows visit.
        if let Some(padded) = PaddedPlanes::new(&geometry).filter(|padded| !padded.is_small())
            && direction == Direction::GradInput
        {
            let [needed, limit] = padded.sizes();
            return Err(Cannot::Limit { resource: Resource::PaddedCells, needed, limit });
        }
        let axes = joined_axes(problem.axes());
        let most = |axis| most_sub_images(axis, direction, side(geometry.boundary));
        let phases = axes.iter().map(most).fold(1, u64::saturating_mul);
        if phases > MOST_PHASES {
            return Err(Cannot::Limit { resource: Resource::SubImages, needed: phases, limit: MOST_PHASES });
        }
        let axes = axes.map(|axis| Phases::new(&axis, geometry.boundary, direction));
        let channels = match direction {
            Direction::GradInput => [geometry.q, geometry.c],
            _ => [geometry.c, geometry.q],
        };
        let bytes = to_usize(problem.element().bytes());
        let load = Load { images: geometry.n, groups: geometry.groups, channels, direction, bytes };
        let tiling = Tiling::new(&axes, &load).ok_or_else(|| Cannot::Limit {
            resource: Resource::TilePoints,
            needed: tiling::least(&axes) as u64,
            limit: tiling::MOST_POINTS as u64,
        })?;
        let blocks = Blocks::new(&axes, &tiling, &load);
        let fft = Self { geometry, axes, tiling, blocks, bytes, transforms: Transforms::default() };
        let tensors = [problem.input(), problem.weight(), problem.output()];
        let elements = tensors.into_iter().map(TensorLayout::len).fold(0, u64::saturating_add);
        let limit = elements.saturating_mul(4 * bytes as u64).max(MOST_WORKSPACE);
        let needed = fft.workspace_bytes();
        if needed > limit {
            return Err(Cannot::Limit { resource: Resource::WorkspaceBytes, needed, limit });
        }
        Ok(fft)
    }

    /// Estimated time of a run on one thread, in nanoseconds, with the transforms of the filters.
    pub(super) fn cost(&self) -> f64 {
        self.tiling.cost[0]
    }

    /// Now, not in the first run, unless they take long to plan.
    pub(super) fn plan_transforms(&self, element: Element) {
        if self.lengths().iter().product::<usize>() > PLANNED_AT_ONCE {
            return;
        }
        match element {
            Element::F64 => drop(self.transforms.double(self.lengths())),
            _ => drop(self.transforms.single(self.lengths())),
        }
    }

    /// Lengths of the transforms; 1 along axes without any.
    pub(super) fn lengths(&self) -> [usize; 3] {
        self.tiling.lengths
    }

    /// Channels of a group in the source and in the result.
    fn channels(&self) -> [usize; 2] {
        match self.geometry.direction {
            Direction::GradInput => [self.geometry.q, self.geometry.c],
            _ => [self.geometry.c, self.geometry.q],
        }
    }

    fn is_single(&self) -> bool {
        self.channels() == [1, 1]
    }

    fn bins(&self) -> usize {
        bins_of(self.tiling.lengths)
    }

    /// Numbers of so many packed spectra.
    fn packed(&self, spectra: usize) -> usize {
        spectra * product::blocks(self.bins()) * product::BLOCK
    }

    /// What a transform there and back multiplies by, undone.
    fn scale(&self) -> f64 {
        1.0 / self.tiling.lengths.iter().product::<usize>() as f64
    }

    fn source_plane(&self) -> usize {
        self.axes.iter().map(|axis| axis.source).product()
    }

    fn result_plane(&self) -> usize {
        self.axes.iter().map(|axis| axis.result).product()
    }

    fn sets(&self) -> Vec<Set> {
        let [outer, middle, inner] = self.axes.each_ref().map(|axis| axis.taps.len());
        let set = |at: usize| Set { at, taps: [at / inner / middle, at / inner % middle, at % inner] };
        (0..outer * middle * inner).map(set).collect()
    }

    fn taps(&self, set: &Set) -> [&Taps; 3] {
        [0, 1, 2].map(|axis| &self.axes[axis].taps[set.taps[axis]])
    }

    /// The phases that sum over the taps of `set`.
    fn tiles(&self, set: &Set) -> impl Iterator<Item = Tiles<'_>> {
        let of = |axis: usize| {
            let taps = set.taps[axis];
            self.axes[axis].all.iter().filter(move |phase| phase.taps == taps)
        };
        let (middle, inner) = (of(1), of(2));
        of(0).flat_map(move |a| {
            let inner = inner.clone();
            middle.clone().flat_map(move |b| inner.clone().map(move |c| self.of_phases([*a, *b, *c])))
        })
    }

    fn of_phases(&self, phases: [DensePhase; 3]) -> Tiles<'_> {
        let counts = [0, 1, 2].map(|axis| phases[axis].count.div_ceil(self.tiling.kept[axis]));
        Tiles { fft: self, phases, counts }
    }

    /// Where in a filter the weight of these taps lies.
    fn filter_index(&self, [z, y, x]: [usize; 3]) -> usize {
        let [_, height, width] = self.geometry.lines.map(|line| line.kernel);
        self.geometry.filter_index((z * height + y) * width + x)
    }

    /// Cells of a plane that windows visit, where these are not the input's and are folded onto them.
    fn padded(&self) -> Option<usize> {
        let same = self.geometry.lines.iter().all(|l| l.begin == 0 && l.reach == l.input as i64);
        let folds =
            self.geometry.direction == Direction::GradInput && self.geometry.boundary.repeats() && !same;
        folds.then(|| self.result_plane())
    }

    /// Bytes of scratch memory of a run.
    pub(super) fn workspace_bytes(&self) -> u64 {
        let Blocks { tiles, sources, results, groups, spectra } = self.blocks;
        let [c, r] = self.channels();
        let threads = rayon::current_num_threads();
        // Cells, two spectra, and about as much again for the transforms themselves.
        let work = threads.saturating_mul(4 * self.packed(1));
        let filters = groups.saturating_mul(self.packed(results)).saturating_mul(c);
        let at_once = spectra.min(results.saturating_mul(c)) * self.bins() * 2;
        let numbers = if self.geometry.direction == Direction::GradWeight {
            self.packed(tiles * sources + 2 * tiles * results + 3 * sources * results)
        } else if self.is_single() {
            filters.saturating_add(at_once)
        } else {
            filters.saturating_add(at_once).saturating_add(self.packed(tiles * (sources + results)))
        };
        let planes = self.geometry.n * self.geometry.groups * r;
        let fold = if self.bytes == 8 {
            padded::fold_elements::<f64>(&self.geometry, planes)
        } else {
            padded::fold_elements::<f32>(&self.geometry, planes)
        };
        let padded = self.padded().map_or(0, |plane| plane.saturating_mul(planes).saturating_add(fold));
        // Operands with numbers that a transform would spread are copied.
        let tamed = self.geometry.n * self.geometry.groups * c * self.source_plane();
        let tamed = tamed.saturating_add(match self.geometry.direction {
            Direction::GradWeight => {
                let outputs: usize = self.geometry.output().iter().product();
                self.geometry.n * self.geometry.groups * r * outputs
            }
            _ => self.geometry.groups * c * r * self.geometry.taps(),
        });
        // Factors of transforms that are made in the first run.
        let lengths = self.lengths();
        let factors = if lengths.iter().product::<usize>() > PLANNED_AT_ONCE {
            lengths.iter().sum::<usize>().saturating_mul(8)
        } else {
            0
        };
        let all = [numbers, padded, tamed, factors].into_iter().fold(work, usize::saturating_add);
        (all as u64).saturating_mul(self.bytes as u64)
    }

    /// Bytes of the spectra that [`Self::prepare`] keeps.
    pub(super) fn prepared_bytes(&self) -> u64 {
        let [c, r] = self.channels();
        let sets = self.axes.iter().map(|axis| axis.taps.len() as u64).product::<u64>();
        let filters = sets.saturating_mul((self.geometry.groups * c * r) as u64);
        let bytes = filters.saturating_mul((self.packed(1) * self.bytes) as u64);
        let kept = self.geometry.direction != Direction::GradWeight && bytes <= PREPARED;
        if kept { bytes } else { 0 }
    }

    /// The spectra of all filters, unless they are too large to keep: then every run makes them, a part at a time.
    pub(super) fn prepare<T: Real>(&self, weight: &[T]) -> Result<Option<Prepared<T>>, OutOfMemory> {
        if self.prepared_bytes() == 0 {
            return Ok(None);
        }
        let tame = match self.tame_weight(weight)? {
            Taming::Needless => None,
            Taming::Tame(tame) => Some(tame),
            Taming::Hopeless => return Ok(None),
        };
        let transform = T::transform(&self.transforms, self.lengths());
        let pool = TransformPool::new(&*transform)?;
        let weight = tame.as_ref().map_or(weight, |tame| &tame.values);
        let spectra =
            sum::ChannelSums { fft: self, pool, source: &[], tame: None, weight, spectra: None }.prepare()?;
        Ok(Some(Prepared { lengths: self.lengths(), spectra, tame }))
    }

    /// The input's boundary in this plane of it.
    fn boundary<T: Real>(&self, tame: Option<&Tame<T>>, image: usize, channel: usize) -> Boundary {
        let Geometry { boundary, groups, c, .. } = self.geometry;
        tame.map_or(boundary, |tame| tame.boundary(boundary, image * groups + channel / c))
    }

    fn tame_weight<T: Real>(&self, weight: &[T]) -> Result<Taming<T>, OutOfMemory> {
        let geometry = &self.geometry;
        let kernel = geometry.lines.each_ref().map(|line| line.kernel);
        Taming::new(weight, kernel, geometry.q * geometry.c, None, 0.0)
    }

    /// The result in logical order, by `direct` where too many numbers are not finite.
    pub(super) fn run<T: Real>(
        &self,
        problem: &ConvProblem,
        direct: &Direct,
        operands: Slices<'_, T>,
        prepared: Option<&Prepared<T>>,
    ) -> Result<Vec<T>, OutOfMemory> {
        let Slices { input, weight, grad_output, .. } = operands;
        let finish = Finish::new(*problem.epilogue(), &operands);
        if problem.macs() == 0 {
            let mut result: Vec<T> = zeros("the result", to_usize(problem.result().len()))?;
            finish.without_sums(problem, &mut result);
            return Ok(result);
        }
        let geometry = &self.geometry;
        // Prepared by a plan like this one, or of no use.
        let [c, r] = self.channels();
        let wanted = self.sets().len() * geometry.groups * self.packed(c * r);
        let fits = |p: &&Prepared<T>| p.lengths == self.lengths() && p.spectra.len() == wanted;
        let prepared = prepared.filter(fits);
        // Images of a gradient of the weight are added up.
        let period = (geometry.direction == Direction::GradWeight).then_some(geometry.groups);
        let of_input =
            |input| Taming::new(input, geometry.input(), geometry.c, period, geometry.boundary.fill());
        let of_output = |output| Taming::new(output, geometry.output(), geometry.q, period, 0.0);
        let (source, filter, taming) = match geometry.direction {
            Direction::Forward => (input, weight, of_input(input)?),
            Direction::GradInput => (grad_output, weight, of_output(grad_output)?),
            Direction::GradWeight => (input, grad_output, of_input(input)?),
        };
        let of_filter = match (prepared, geometry.direction) {
            (Some(_), _) => Taming::Needless,
            (None, Direction::GradWeight) => of_output(grad_output)?,
            (None, _) => self.tame_weight(weight)?,
        };
        let tame_source = taming.tame();
        let tame_filter = prepared.map_or(of_filter.tame(), |prepared| prepared.tame.as_ref());
        let hopeless = matches!(taming, Taming::Hopeless)
            || matches!(of_filter, Taming::Hopeless)
            || (self.is_far() && [tame_source, tame_filter].into_iter().flatten().any(Tame::has_specials));
        if hopeless {
            drop((taming, of_filter));
            return direct.run(problem, operands);
        }
        let mut result = zeros("the result", to_usize(problem.result().len()))?;
        let given = tame::TamedOperands { geometry, source, filter, tame_source, tame_filter };
        let source = tame_source.map_or(source, |tame| &tame.values);
        let filter = tame_filter.map_or(filter, |tame| &tame.values);
        let transform = T::transform(&self.transforms, self.lengths());
        let pool = TransformPool::new(&*transform)?;
        if geometry.direction == Direction::GradWeight {
            let weight = weight::WeightGradient {
                fft: self,
                pool,
                input: source,
                grad_output: filter,
                tame: tame_source,
            };
            weight.run(&mut result)?;
        } else {
            let spectra = prepared.map(|prepared| &prepared.spectra[..]);
            let sum =
                sum::ChannelSums { fft: self, pool, source, tame: tame_source, weight: filter, spectra };
            match self.padded() {
                None => sum.run(&mut result)?,
                Some(plane) => {
                    let planes = geometry.n * geometry.groups * r;
                    let mut sums: Vec<T> = zeros("the gradient of padded cells", planes * plane)?;
                    sum.run(&mut sums)?;
                    padded::fold(geometry, &sums, &mut result)?;
                }
            }
        }
        given.complete(&mut result);
        finish.planes(geometry, &mut result);
        Ok(result)
    }

    /// Whether far more coordinates than cells stand for the input along an axis, so that none is looked up.
    fn is_far(&self) -> bool {
        let far = |line: &Line| line.reach.unsigned_abs() > (1 << 16) + 4 * line.input as u64;
        self.geometry.boundary.repeats() && self.geometry.lines.iter().any(far)
    }
}

impl Blocks {
    fn new(axes: &[Phases; 3], tiling: &Tiling, load: &Load) -> Self {
        let one = (bins_of(tiling.lengths) * 2 * load.bytes).max(1);
        let [c, r] = load.channels.map(|channels| channels.max(1));
        let along = |at: usize| axes[at].most_results().div_ceil(tiling.kept[at]).max(1);
        let tiles = (0..3).map(along).product::<usize>().saturating_mul(load.images.max(1));
        // Of a gradient by the weight: what tiles bring, the sums, and what their last addition lost.
        let filters = if load.direction == Direction::GradWeight { FILTERS / 3 } else { FILTERS };
        let (spectra, filters) = ((SPECTRA / one).max(1), (filters / one).max(1));
        let sources = if load.direction == Direction::GradWeight { filters } else { spectra }.min(c);
        let beside = if load.direction == Direction::GradWeight { sources } else { c };
        let results = (filters / beside).clamp(1, r);
        let most = if load.direction == Direction::GradWeight { SUMMED_TILES } else { TILES };
        let tiles = (spectra / sources.max(results)).clamp(1, most).min(tiles);
        let single = c == 1 && r == 1 && load.direction != Direction::GradWeight;
        let groups = if single { filters.min(load.groups) } else { 1 };
        Self { spectra, tiles, sources, results, groups }
    }
}

impl Tiles<'_> {
    /// In an image.
    fn count(&self) -> usize {
        self.counts.iter().product()
    }

    fn tile(&self, at: usize) -> OverlapTile<'_> {
        let [_, middle, inner] = self.counts;
        let at = [at / inner / middle, at / inner % middle, at % inner];
        OverlapTile { axes: &self.fft.axes, phases: self.phases, tiling: &self.fft.tiling, at }
    }

    /// Of those of all images the `at`-th.
    fn image_and_tile(&self, at: usize) -> (usize, OverlapTile<'_>) {
        (at / self.count(), self.tile(at % self.count()))
    }

    /// Elements of a plane of the result that no tile of another band fills, and tiles of a band.
    fn band(&self) -> (usize, usize) {
        let extents = self.fft.axes.each_ref().map(|axis| axis.result);
        // Along the first axis of more than one cell, or they would not lie together.
        let axis = extents.iter().position(|extent| *extent > 1).unwrap_or(2);
        let inner: usize = extents[axis + 1..].iter().product();
        let rows = self.fft.tiling.kept[axis].saturating_mul(self.phases[axis].apart);
        (rows.saturating_mul(inner).min(self.fft.result_plane()), self.counts[axis + 1..].iter().product())
    }
}

/// A [`TileBuffers`] for every thread that is at it.
struct TransformPool<'t, T> {
    transform: &'t dyn Transform<T>,
    works: memory::ScratchPool<TileBuffers<T>>,
}

impl<'t, T: Real> TransformPool<'t, T> {
    fn new(transform: &'t dyn Transform<T>) -> Result<Self, OutOfMemory> {
        Ok(Self { transform, works: memory::ScratchPool::new(usize::MAX, || TileBuffers::new(transform))? })
    }

    fn with(&self, task: impl FnOnce(&mut TileBuffers<T>, &dyn Transform<T>)) {
        self.works.with(|work| task(work, self.transform));
    }
}
