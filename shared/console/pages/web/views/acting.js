// The tenant that this tab acts for: a global role of a technical tenant chooses among those that are linked to it.
import { html, useState } from "../html.js";
import { act, get } from "../api.js";
import { t } from "../i18n.js";
import { useLoad } from "../load.js";
import { mayLeave } from "../router.js";

async function all(signal) {
	const items = [];
	let cursor;
	do {
		const { body } = await get("/v1/tenants", { signal, query: { limit: 200, cursor } });
		items.push(...body.items);
		cursor = body.next_cursor;
	} while (cursor);
	return items;
}

// Acting is the switch in the header. The page stays where it is, and shows the other tenant.
export function Acting({ session, again }) {
	const [shown, show] = useState(session.tenant);
	const load = useLoad("tenants", all);
	const items = load.data || load.stale || [];
	if (items.length < 2 && !session.home_tenant) return null;
	const known = items.some((i) => i.tenant === session.tenant);
	return html`
		<label class="acting">
			<span class="visually-hidden">${t("acting.label")}</span>
			<select
				value=${shown}
				onChange=${(e) => {
					const to = e.target.value;
					if (!mayLeave()) {
						e.target.value = shown;
						return;
					}
					show(to);
					act(items.find((i) => i.tenant === to)?.home ? "" : to);
					again();
				}}
			>
				${!known &&
				html`
					<option value=${session.tenant}>${session.client_name || session.tenant}</option>
				`}
				${items.map(
					(i) => html`
						<option key=${i.tenant} value=${i.tenant}>
							${i.client_name ? `${i.client_name} (${i.tenant})` : i.tenant}
						</option>
					`,
				)}
			</select>
		</label>
	`;
}
