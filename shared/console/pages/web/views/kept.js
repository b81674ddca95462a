// What is kept of a tenant, or of a person of one: read page by page, counted, shown and saved as an archive.
import { html, useEffect, useRef, useState } from "../html.js";
import { hand, tenantPath, textOf } from "../api.js";
import { bytes, number, t } from "../i18n.js";
import { useAction } from "../load.js";
import { Busy, Empty, Failure, Notice } from "../ui.js";
import { downloadZip } from "../lib/client-zip.js";

// Of what one archive of a page holds. The program makes larger ones.
const mostBytes = 500_000_000;
const shown = 20; // rows of a table that the page shows

// digits keeps a number as it is written: one of a row can have more digits than numbers have here.
const digits = (key, value, { source }) => (typeof value === "number" ? JSON.rawJSON(source) : value);

const none = { tables: [], rows: 0, bytes: 0, state: "" };

// gather adds the rows of a page.
function gather(found, rows) {
	const tables = new Map(found.tables.map((of) => [of.name, of]));
	let size = 0;
	for (const [name, of] of Map.groupBy(rows, (r) => r.table)) {
		const table = tables.get(name) || { name, rows: 0, first: [], parts: [] };
		const lines = of.map((r) => `${JSON.stringify(r.row)}\n`);
		const part = new Blob(lines); // which a browser may keep on disk
		const first = [...table.first, ...lines.slice(0, shown - table.first.length)];
		tables.set(name, { name, rows: table.rows + lines.length, first, parts: [...table.parts, part] });
		size += part.size;
	}
	return { ...found, tables: [...tables.values()], rows: found.rows + rows.length, bytes: found.bytes + size };
}

// useKept reads it when it is told to.
function useKept(tenant, person) {
	const [found, set] = useState(none);
	const running = useRef(null);
	useEffect(() => () => running.current?.abort(), []);
	const [read, { busy, error }] = useAction(async () => {
		const { signal } = (running.current = new AbortController());
		let all = { ...none, state: "reading" };
		set(all);
		let cursor;
		try {
			do {
				const text = await textOf(tenantPath(tenant, "/export"), { signal, query: { person, cursor } });
				const page = JSON.parse(text, digits);
				all = gather(all, page.items);
				cursor = page.next_cursor;
				set(all);
			} while (cursor && all.bytes < mostBytes);
			set({ ...all, state: cursor ? "large" : "all" });
		} catch (e) {
			set({ ...all, state: "stopped" });
			if (e.name !== "AbortError") throw e;
		}
	});
	return { found, read, busy, error, stop: () => running.current?.abort() };
}

// save hands what was read to the browser: a file for each table, as the program's archive has them.
async function save(tenant, person, found) {
	const of = person || tenant;
	const counts = found.tables.map((table) => `${table.name}.jsonl: ${table.rows}\n`);
	const lead = t(person ? "kept.readme.person" : "kept.readme.tenant", {
		tenant,
		person,
		at: new Date().toISOString(),
	});
	const readme = `${lead}\n\n${t("kept.readme")}\n\n${counts.join("")}`;
	const files = found.tables.map((table) => ({ name: `${table.name}.jsonl`, input: new Blob(table.parts) }));
	const archive = downloadZip([...files, { name: "README.txt", input: readme }]);
	hand(await archive.blob(), `${of.replace(/[^\w.@-]/g, "_")}.zip`);
}

function Tables({ found }) {
	return html`
		<div class="table-box">
			<table class="log">
				<caption class="visually-hidden">${t("kept.tables")}</caption>
				<thead>
					<tr>
						<th scope="col">${t("kept.table")}</th>
						<th scope="col" class="number">${t("kept.rows")}</th>
						<th scope="col">${t("kept.first")}</th>
					</tr>
				</thead>
				<tbody>
					${found.tables.map(
						(of) => html`
							<tr key=${of.name}>
								<td data-label=${t("kept.table")}><code>${of.name}</code></td>
								<td data-label=${t("kept.rows")} class="number">${number(of.rows)}</td>
								<td data-label=${t("kept.first")}>
									<details>
										<summary aria-label=${t("kept.look.at", { name: of.name })}>
											${t("kept.look")}
										</summary>
										<pre class="wrap" tabindex="0">${of.first.join("")}</pre>
									</details>
								</td>
							</tr>
						`,
					)}
				</tbody>
			</table>
		</div>
	`;
}

// told says how far the reading is.
const told = ({ state, rows, bytes: size }) => {
	if (!state) return "";
	return t(`kept.state.${state}`, { n: rows, size: bytes(size) });
};

// Kept is the panel.
export function Kept({ tenant, person }) {
	const { found, read, busy, error, stop } = useKept(tenant, person);
	const [pack, packing] = useAction(() => save(tenant, person, found));
	const over = found.state && found.state !== "reading";
	return html`
		<section class="panel">
			<h2>${t(person ? "kept.title.person" : "kept.title.tenant", { tenant, person })}</h2>
			<p>${t(person ? "kept.what.person" : "kept.what.tenant")}</p>
			<div class="buttons start">
				${busy
					? html`
							<button type="button" onClick=${stop}><${Busy} on>${t("recover.stop")}<//></button>
						`
					: html`
							<button type="button" class="primary" onClick=${read}>
								${t(found.state ? "kept.again" : "kept.read")}
							</button>
						`}
				${over &&
				found.rows > 0 &&
				html`
					<button type="button" disabled=${packing.busy} onClick=${pack}>
						<${Busy} on=${packing.busy}>${t("kept.save")}<//>
					</button>
				`}
			</div>
			${found.state === "large" &&
			html`
				<${Notice} kind="warn">
					<p>${t("kept.large")}</p>
					<p>
						<code>
							tocsin tenant export ${tenant}${person && ` -person ${person}`} -to FILE.zip -url
							${` ${location.origin}`}
						</code>
					</p>
				<//>
			`}
			<p class="help" role="status">${told(found)}</p>
			${(error || packing.error) &&
			html`
				<${Failure} error=${error || packing.error} />
			`}
			${found.rows > 0 &&
			html`
				<${Tables} found=${found} />
			`}
			${found.state === "all" &&
			found.rows === 0 &&
			html`
				<${Empty} icon="search" title=${t("kept.none")} />
			`}
		</section>
	`;
}
