// ONNX Runtime as a process that measures itself when it is told to; see main.go.
//
//   OCTET_ORT=FOLDER node ort.js MODEL.onnx THREADS        FOLDER has node_modules/onnxruntime-node
//
// It prints {"engine", "load_ms"} when it is ready, then for every line "run MILLISECONDS" runs the model for that long
// and prints {"runs", "median_ms", "fastest_ms"}. Graph optimizations are all on; inputs are random, unknown dimensions 1.
const readline = require('readline');
const { createRequire } = require('module');
const peer = createRequire(require('path').join(process.env.OCTET_ORT, 'package.json'));
const ort = peer('onnxruntime-node');
const [, , model, threads] = process.argv;

const arrays = { float32: Float32Array, uint8: Uint8Array, int8: Int8Array, int32: Int32Array, int64: BigInt64Array, bool: Uint8Array };

function feed(meta) {
  const dims = meta.shape.map(d => (typeof d === 'number' && d > 0 ? d : 1));
  const data = new arrays[meta.type](dims.reduce((a, b) => a * b, 1));
  for (let i = 0, z = 12345; i < data.length; i++) {
    z = (Math.imul(z, 1664525) + 1013904223) >>> 0;
    data[i] = meta.type === 'float32' ? z / 4294967296 : meta.type === 'int64' ? 1n : z >>> 25;
  }
  return new ort.Tensor(meta.type, data, dims);
}

(async () => {
  const begin = performance.now();
  const session = await ort.InferenceSession.create(model, {
    executionProviders: ['cpu'], intraOpNumThreads: Number(threads), interOpNumThreads: 1, graphOptimizationLevel: 'all' });
  const load = performance.now() - begin;
  const feeds = Object.fromEntries(session.inputMetadata.map(m => [m.name, feed(m)]));
  for (let i = 0; i < 5; i++) await session.run(feeds);
  console.log(JSON.stringify({ engine: 'ONNX Runtime ' + peer('onnxruntime-node/package.json').version, load_ms: load }));
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const window = Number(line.split(' ')[1]), times = [], start = performance.now();
    while (times.length === 0 || performance.now() - start < window) {
      const t = performance.now();
      await session.run(feeds);
      times.push(performance.now() - t);
    }
    times.sort((a, b) => a - b);
    console.log(JSON.stringify({ runs: times.length, median_ms: times[times.length >> 1], fastest_ms: times[0] }));
  }
})().catch(e => { console.error(String(e.message || e)); process.exit(1); });
