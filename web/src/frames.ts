/** Frames from Python: a JSON header, then arrays as they lie in memory (explorer/frames.py says how). */

export type Numbers = Float64Array | Float32Array | Int32Array | Uint8Array;
export interface Frame {
  header: Record<string, any>;
  arrays: Record<string, Numbers>;
  shapes: Record<string, number[]>;
}

const KINDS = { f8: Float64Array, f4: Float32Array, i4: Int32Array, u1: Uint8Array } as const;

export function unpack(buffer: ArrayBuffer): Frame {
  const length = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  const arrays: Record<string, Numbers> = {};
  const shapes: Record<string, number[]> = {};
  for (const { name, shape, type, at } of header.arrays ?? []) {
    const count = shape.reduce((a: number, b: number) => a * b, 1);
    arrays[name] = new KINDS[type as keyof typeof KINDS](buffer, 4 + length + at, count);
    shapes[name] = shape;
  }
  return { header, arrays, shapes };
}

export function fromBase64(text: string): ArrayBuffer {
  const raw = atob(text);
  const bytes = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
  return bytes.buffer;
}
