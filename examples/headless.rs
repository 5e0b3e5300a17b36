//! A convolution inside an app's own wgpu device and encoder: nothing is submitted but what the app submits.
//!
//!     cargo run --example headless

use wgconv::ndarray::Array4;
use wgconv::wgpu::{self, BufferUsages};
use wgconv::{BufferOperands, Conv, ConvProblem, Device, Operands, Padding, PlanOptions};

const X: [usize; 4] = [1, 8, 32, 32];
const W: [usize; 4] = [16, 8, 3, 3];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // The app's side: an instance, an adapter, a device. A software adapter will do.
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let options = wgpu::RequestAdapterOptions::default();
    let Ok(adapter) = pollster::block_on(instance.request_adapter(&options)) else {
        println!("no adapter here: nothing to show");
        return Ok(());
    };
    // The adapter's own limits: the defaults bind 128 MiB at most.
    let descriptor = wgpu::DeviceDescriptor { required_limits: adapter.limits(), ..Default::default() };
    let (device, queue) = pollster::block_on(adapter.request_device(&descriptor))?;
    println!("adapter: {}", adapter.get_info().name);

    // Ours: a plan on that device. It decides and compiles; it runs nothing.
    let ours = Device::from_wgpu(device.clone(), queue.clone())?.with_adapter(&adapter);
    let problem = ConvProblem::new(&X, &W, &Conv::default().padding(Padding::Same))?;
    let plan = ours.plan(&problem, &PlanOptions::default())?;
    print!("plan: {}", plan.explain());
    let Some(prepared_bytes) = plan.prepared_bytes() else {
        println!("this adapter runs it on the CPU path: nothing to record");
        return Ok(());
    };

    // Buffers that the app owns. `layout.span` elements, as the plan's problem says.
    let x = Array4::from_shape_fn(X, |(_, c, i, j)| ((c + 3 * i + 5 * j) % 7) as f32 - 3.0);
    let w = Array4::from_shape_fn(W, |(q, c, i, j)| ((q + c + 2 * i + j) % 5) as f32 - 2.0);
    let usage = BufferUsages::STORAGE | BufferUsages::COPY_DST | BufferUsages::COPY_SRC;
    let buffer = |bytes: u64, usage| {
        device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size: bytes,
            usage,
            mapped_at_creation: false,
        })
    };
    let filled = |values: &[f32]| {
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        let filled = buffer(bytes.len() as u64, usage);
        queue.write_buffer(&filled, 0, &bytes);
        filled
    };
    let input = filled(x.as_slice().ok_or("x lies in order")?);
    let weight = filled(w.as_slice().ok_or("w lies in order")?);
    let prepared = buffer(prepared_bytes, usage);
    let result = buffer(problem.result().span * 4, usage);
    let readable = buffer(result.size(), BufferUsages::MAP_READ | BufferUsages::COPY_DST);

    // The app's encoder takes the preparation, the run, and whatever else the app does.
    let mut encoder = device.create_command_encoder(&Default::default());
    plan.encode_prepare(&mut encoder, (&weight).into(), (&prepared).into())?;
    let operands = BufferOperands {
        input: Some((&input).into()),
        prepared: Some((&prepared).into()),
        result: Some((&result).into()),
        ..Default::default()
    };
    plan.encode(&mut encoder, &operands)?;
    encoder.copy_buffer_to_buffer(&result, 0, &readable, 0, result.size());
    queue.submit([encoder.finish()]);

    readable.map_async(wgpu::MapMode::Read, .., drop);
    device.poll(wgpu::PollType::wait_indefinitely())?;
    let bytes = readable.slice(..).get_mapped_range()?.to_vec();
    let got = bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));

    // The CPU path gives the same integers.
    let by_cpu = Device::cpu().plan(&problem, &PlanOptions::default())?;
    let wanted = by_cpu.run(Operands { input: x.view(), weight: w.view().into(), ..Default::default() })?;
    assert!(got.eq(wanted.iter().copied()));
    println!("{} outputs, each as on the CPU path", wanted.len());
    Ok(())
}
