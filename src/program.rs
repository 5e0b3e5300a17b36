//! What a device is to do, as plain data: comparable, printable, made without a device.

use crate::kernel::{Kernel, Params, Spec};
use crate::target::Limits;

/// One convolution as launches. `prepare` reads the weights alone and runs once per weights.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Program {
    /// Host-made constants, uploaded with the plan.
    pub tables: Vec<Table>,
    /// Scratch buffers, in bytes.
    pub workspace: Vec<u64>,
    /// Launches that turn the weights into [`Buffer::Prepared`]; empty: the weights are used as they are.
    pub prepare: Vec<Launch>,
    /// Bytes of [`Buffer::Prepared`] where there are such launches; a multiple of 4.
    pub prepared: u64,
    /// Launches of one run, in order.
    pub launches: Vec<Launch>,
}

impl Program {
    /// Bytes of scratch memory that a run needs beside its operands.
    pub fn workspace_bytes(&self) -> u64 {
        self.workspace.iter().sum()
    }

    /// This program, and after it `next`, which writes other parts of the result. Both use the same scratch buffers; equal
    /// tables and equally prepared weights are there once.
    #[must_use]
    pub fn then(mut self, next: Self) -> Self {
        let mut place = |table: Table| {
            let known = self.tables.iter().position(|other| *other == table);
            known.unwrap_or_else(|| {
                self.tables.push(table);
                self.tables.len() - 1
            })
        };
        let tables: Vec<usize> = next.tables.into_iter().map(&mut place).collect();
        let moved = |mut launch: Launch, prepared: u64| {
            for binding in &mut launch.bindings {
                match &mut binding.buffer {
                    Buffer::Table(i) => *i = tables.get(*i).copied().unwrap_or(*i),
                    Buffer::Prepared => binding.offset += prepared,
                    _ => {}
                }
            }
            launch
        };
        let prepare: Vec<_> = next.prepare.into_iter().map(|launch| moved(launch, 0)).collect();
        let same = prepare == self.prepare;
        // Where a binding may begin.
        let prepared = if same { 0 } else { self.prepared.next_multiple_of(256) };
        if !same {
            self.prepare.extend(prepare.into_iter().map(|launch| moved(launch, prepared)));
            self.prepared = prepared + next.prepared;
        }
        self.launches.extend(next.launches.into_iter().map(|launch| moved(launch, prepared)));
        self.workspace.resize(self.workspace.len().max(next.workspace.len()), 0);
        for (bytes, more) in self.workspace.iter_mut().zip(next.workspace) {
            *bytes = more.max(*bytes);
        }
        self
    }
}

/// A constant buffer made by the host.
#[derive(Clone, PartialEq, Eq)]
pub struct Table {
    /// What it holds, for labels and `explain`.
    pub name: &'static str,
    /// Its contents; at least four words.
    pub words: Vec<u32>,
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}[{} words]", self.name, self.words.len())
    }
}

/// One dispatch of one kernel.
#[derive(Clone, Debug, PartialEq)]
pub struct Launch {
    /// Which kernel.
    pub kernel: Kernel,
    /// Its compile-time constants: one of [`Kernel::specs`].
    pub spec: Spec,
    /// Its uniform block, binding 0.
    pub params: Params,
    /// Storage buffers from binding 1 on; the last one is written.
    pub bindings: Vec<Binding>,
    /// Workgroups.
    pub grid: Grid,
}

/// A range of a buffer; `offset` is a multiple of 256, what remains of an address is in the params.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding {
    /// Which buffer.
    pub buffer: Buffer,
    /// First byte.
    pub offset: u64,
    /// Bytes, a multiple of 4.
    pub size: u64,
}

/// A buffer by its role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Buffer {
    /// `x`
    Input,
    /// `w` as the caller gave it.
    Weight,
    /// The gradient of `y`.
    GradOutput,
    /// One number per channel of the result.
    Bias,
    /// Added to the result, of its shape.
    Residual,
    /// What `prepare` made of the weights.
    Prepared,
    /// `Program::tables[i]`
    Table(usize),
    /// `Program::workspace[i]`
    Workspace(usize),
    /// What the direction computes.
    Result,
}

/// Workgroups per dimension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid(pub [u32; 3]);

impl Grid {
    /// Enough workgroups of `workgroup` invocations for `invocations`, folded into a second dimension
    /// past `limits.max_grid`; `shared/dispatch.wgsl` unfolds them. The one place that makes grids.
    ///
    /// `None` if two dimensions are not enough, or if an invocation's index would not fit 32 bits.
    pub fn linear(invocations: u64, workgroup: u32, limits: &Limits) -> Option<Self> {
        if workgroup == 0 || limits.max_grid == 0 {
            return None;
        }
        let groups = invocations.div_ceil(u64::from(workgroup)).max(1);
        let rows = groups.div_ceil(u64::from(limits.max_grid));
        let columns = groups.div_ceil(rows);
        // The fold's surplus invocations have indices too.
        (rows * columns).checked_mul(u64::from(workgroup)).filter(|&last| last <= u64::from(u32::MAX))?;
        let rows = u32::try_from(rows).ok().filter(|&r| r <= limits.max_grid)?;
        Some(Self([u32::try_from(columns).ok()?, rows, 1]))
    }
}
