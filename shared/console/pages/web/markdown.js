// The part of Markdown that set-up notes use, as elements and never as HTML text: headings, lists, code blocks,
// paragraphs; bold, italics, code and links to https addresses within a line.
import { html } from "./html.js";

const inline = /`([^`]+)`|\*\*([^*]+)\*\*|\*([^*]+)\*|\[([^\]]+)\]\((https:\/\/[^)\s]+)\)/g;

export function line(text) {
	const out = [];
	let end = 0;
	for (const m of text.matchAll(inline)) {
		out.push(text.slice(end, m.index));
		if (m[1])
			out.push(html`
				<code>${m[1]}</code>
			`);
		else if (m[2])
			out.push(html`
				<strong>${line(m[2])}</strong>
			`);
		else if (m[3])
			out.push(html`
				<em>${line(m[3])}</em>
			`);
		else
			out.push(html`
				<a href=${m[5]} rel="noreferrer" target="_blank">${m[4]}</a>
			`);
		end = m.index + m[0].length;
	}
	out.push(text.slice(end));
	return out;
}

// blocks cuts a text into {kind, lines}; an indented line goes on with the block before it.
function blocks(text) {
	const out = [];
	let open = null;
	const begin = (kind, first) => out.push((open = { kind, lines: [first] }));
	let code = null;
	for (const raw of text.split("\n")) {
		if (raw.trim().startsWith("```")) {
			code = code ? null : (out.push({ kind: "pre", lines: [], indent: raw.indexOf("`") }), out.at(-1));
			open = null;
		} else if (code) code.lines.push(raw.slice(code.indent));
		else if (!raw.trim()) open = null;
		else if (/^#{1,6} /.test(raw)) (begin("heading", raw.replace(/^#+ /, "")), (open = null));
		else if (/^\d+\. /.test(raw)) (begin("ol", raw.replace(/^\d+\. /, "")), (open.start = parseInt(raw)));
		else if (/^[-*] /.test(raw)) begin("ul", raw.slice(2));
		else if (open) open.lines.push(raw.trim());
		else begin("p", raw.trim());
	}
	return out;
}

export function Markdown({ text, lang }) {
	const out = [];
	for (const b of blocks(text)) {
		const body = line(b.lines.join(" "));
		const last = out.at(-1);
		if (b.kind === "pre") out.push({ pre: b.lines.join("\n") });
		else if (b.kind === "ol" || b.kind === "ul") {
			if (last?.list === b.kind) last.items.push(body);
			else out.push({ list: b.kind, start: b.start, items: [body] });
		} else out.push({ tag: b.kind, body });
	}
	return html`
		<div class="prose" lang=${lang}>
			${out.map((o) => {
				if (o.pre !== undefined)
					return html`
						<pre tabindex="0">${o.pre}</pre>
					`;
				if (o.list)
					return html`
						<${o.list} start=${o.start}>
							${o.items.map(
								(i) => html`
									<li>${i}</li>
								`,
							)}
						<//>
					`;
				return o.tag === "heading"
					? html`
							<h3>${o.body}</h3>
						`
					: html`
							<p>${o.body}</p>
						`;
			})}
		</div>
	`;
}
