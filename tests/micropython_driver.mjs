// Runs one job under MicroPython's WebAssembly build. The job comes as JSON on standard input:
// {package, heap_bytes, files: [[path inside, path on the host], ...], setup, step, steps, finish}.
// What the code prints goes to standard output; a traceback goes to standard error, with exit code 1.
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

const ROOT = '/telerig';
const job = JSON.parse(readFileSync(0, 'utf8'));
const { loadMicroPython } = await import(pathToFileURL(job.package + '/micropython.mjs').href);
const lines = [];
const mp = await loadMicroPython({
  heapsize: job.heap_bytes,
  stdout: (line) => lines.push(line),
  stderr: (line) => lines.push(line),
  linebuffer: true,
});

function put(path, content) {
  let folder = '';
  for (const part of path.split('/').slice(1, -1)) {
    folder += '/' + part;
    try { mp.FS.mkdir(folder); } catch { /* it is there */ }
  }
  mp.FS.writeFile(path, content);
}

for (const [inside, host] of job.files) put(ROOT + '/' + inside, readFileSync(host));
try {
  mp.runPython(`import sys\nsys.path.insert(0, '${ROOT}')\nfinished = False`);
  mp.runPython(job.setup);
  // Rubbish is collected only between top-level calls, so a long run is many short calls.
  for (let done = 0; done < job.steps && !mp.globals.get('finished'); done++) mp.runPython(job.step);
  mp.runPython(job.finish);
} catch (error) {
  process.stdout.write(lines.map((line) => line + '\n').join(''));
  process.stderr.write(String(error) + '\n');
  process.exit(1);
}
process.stdout.write(lines.map((line) => line + '\n').join(''));
