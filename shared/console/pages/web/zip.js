// Archives of files that the page has (ZIP, PKWARE's APPNOTE 6.3.10).

// remainders are those of the CRC-32 of each byte.
const remainders = Uint32Array.from({ length: 256 }, (_, n) => {
	for (let bit = 0; bit < 8; bit++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
	return n >>> 0;
});

// packed is a file in DEFLATE, with its CRC-32. It is read in parts: a browser keeps a large one on disk.
async function packed(blob) {
	let crc = -1;
	const counted = new TransformStream({
		transform(bytes, out) {
			for (const b of bytes) crc = remainders[(crc ^ b) & 255] ^ (crc >>> 8);
			out.enqueue(bytes);
		},
	});
	const stream = blob.stream().pipeThrough(counted).pipeThrough(new CompressionStream("deflate-raw"));
	return { body: await new Response(stream).blob(), crc: ~crc >>> 0 };
}

// record writes numbers, each [value, bytes], the lowest byte first.
function record(...numbers) {
	const out = [];
	for (let [value, bytes] of numbers)
		for (; bytes > 0; bytes--, value = Math.floor(value / 256)) out.push(value & 255);
	return Uint8Array.from(out);
}

// stamp is a local time as MS-DOS has it, in steps of two seconds.
const stamp = (at) => [
	[(at.getHours() << 11) | (at.getMinutes() << 5) | (at.getSeconds() >> 1), 2],
	[((at.getFullYear() - 1980) << 9) | ((at.getMonth() + 1) << 5) | at.getDate(), 2],
];

const version = 20; // DEFLATE
const unicode = 1 << 11; // names are UTF-8
const deflated = 8;

// zip makes an archive of [name, blob] pairs.
export async function zip(files, at = new Date()) {
	const parts = [];
	const directory = [];
	let offset = 0;
	for (const [name, blob] of files) {
		const { body, crc } = await packed(blob);
		const written = new TextEncoder().encode(name);
		const common = [
			[version, 2],
			[unicode, 2],
			[deflated, 2],
			...stamp(at),
			[crc, 4],
			[body.size, 4],
			[blob.size, 4],
			[written.length, 2],
			[0, 2],
		];
		const head = record([0x04034b50, 4], ...common);
		parts.push(head, written, body);
		directory.push(
			record([0x02014b50, 4], [version, 2], ...common, [0, 2], [0, 2], [0, 2], [0, 4], [offset, 4]),
			written,
		);
		offset += head.length + written.length + body.size;
	}
	const size = directory.reduce((n, d) => n + d.length, 0);
	const n = files.length;
	const end = record([0x06054b50, 4], [0, 2], [0, 2], [n, 2], [n, 2], [size, 4], [offset, 4], [0, 2]);
	return new Blob([...parts, ...directory, end], { type: "application/zip" });
}
