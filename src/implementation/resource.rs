//! What a device, a kernel or this crate has so much of.

use std::fmt;

/// A countable thing of which a problem may need too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Resource {
    /// Bytes of workgroup memory, by the device.
    WorkgroupBytes,
    /// Storage buffers of one launch, by the device.
    StorageBuffers,
    /// Invocations of a workgroup, by the device.
    Invocations,
    /// Launches of one run.
    Launches,
    /// Launches of one run of all parts that a problem is cut into.
    LaunchesOfPieces,
    /// Words of the tables of one problem.
    TableWords,
    /// Words of the tables of all parts that a problem is cut into.
    TableWordsOfPieces,
    /// Words of a table that describe the phases of a stride.
    PhaseWords,
    /// Cells outside the input of which a boundary table says what is read there.
    BoundaryCells,
    /// Reads of one input cell through a boundary that repeats it.
    ReadsOfOneCell,
    /// Parts that the sum of one element is cut into.
    PartsOfOneSum,
    /// Phases of a stride.
    Phases,
    /// Sub-images that strides and dilations make.
    SubImages,
    /// Channels that are summed over.
    SummedChannels,
    /// Columns of taps that an invocation goes through.
    ColumnsOfTaps,
    /// Planes that a sum goes through.
    PlanesOfOneSum,
    /// Samples of a transform along the innermost axis.
    TransformSamples,
    /// Samples of a transform along another axis.
    TransformSamplesAcross,
    /// Bits that tell which elements of a matrix of windows lie outside.
    BitsOfOutside,
    /// Points of a tile that is transformed on the host.
    TilePoints,
    /// Cells of a plane that windows visit, of which each has a gradient that is added up afterwards.
    PaddedCells,
    /// Bytes of scratch memory on the host.
    WorkspaceBytes,
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WorkgroupBytes => "bytes of workgroup memory",
            Self::StorageBuffers => "storage buffers",
            Self::Invocations => "invocations per workgroup",
            Self::Launches => "launches",
            Self::LaunchesOfPieces => "launches of pieces",
            Self::TableWords => "words of tables",
            Self::TableWordsOfPieces => "words of tables of pieces",
            Self::PhaseWords => "words of the phases of a stride",
            Self::BoundaryCells => "cells outside the input in boundary tables",
            Self::ReadsOfOneCell => "reads of one input cell through the boundary",
            Self::PartsOfOneSum => "parts of one sum",
            Self::Phases => "phases of a stride",
            Self::SubImages => "sub-images of strides and dilations",
            Self::SummedChannels => "channels summed over",
            Self::ColumnsOfTaps => "columns of taps",
            Self::PlanesOfOneSum => "planes of a sum",
            Self::TransformSamples => "samples of a transform",
            Self::TransformSamplesAcross => "samples of a transform across the longest axis",
            Self::BitsOfOutside => "bits that tell what lies outside",
            Self::TilePoints => "points of a tile",
            Self::PaddedCells => "cells of a plane that windows visit",
            Self::WorkspaceBytes => "bytes of scratch memory",
        })
    }
}
