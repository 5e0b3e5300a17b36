// dispatch: the index of an invocation in a grid that Grid::linear folded into two dimensions.

fn invocation_index(group: vec3<u32>, groups: vec3<u32>, local: u32) -> u32 {
    return (group.y * groups.x + group.x) * WG + local;
}
