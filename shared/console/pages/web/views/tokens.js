// API tokens: administrators see all of the tenant, analysts their own. A secret is shown once, where it was made.
import { html, useState } from "../html.js";
import { call, get, post, tokenPath } from "../api.js";
import { instant, list, t } from "../i18n.js";
import { useAction, useLoad } from "../load.js";
import { useUnsaved } from "../router.js";
import { Busy, Copy, Dialog, Empty, ErrorAt, Failure, Notice, Pill, useClosing, View, When } from "../ui.js";

const path = "/v1/tokens";
// roles are those that can be given, the highest first; the API refuses those above the maker's.
const roles = [
	"global_administrator",
	"administrator",
	"global_analyst",
	"analyst",
	"global_read_only",
	"read_only",
	"api_developer",
	"deploy",
];
const within = {
	administrator: ["administrator", "analyst", "read_only", "api_developer", "deploy"],
	analyst: ["analyst", "api_developer", "deploy"],
	global_administrator: roles,
	global_analyst: ["global_analyst", "analyst", "api_developer", "deploy"],
	operator: ["administrator", "analyst", "read_only", "api_developer", "deploy"],
};
const isGlobal = (role) => role.startsWith("global_");
const mayShare = (session) => ["administrator", "global_administrator", "operator"].includes(session.role);
const marks = { active: ["ok", "check"], expired: ["off", "pause"], revoked: ["off", "pause"] };

// roleOf is a role in words; that of custom permissions has no more than its name.
const roleOf = (role) => {
	const words = t(`role.${role.split(":")[0]}`);
	return words.startsWith("role.") ? t("role.unknown") : words;
};

function Secret({ made, onClose }) {
	return html`
		<${Dialog} title=${t("tokens.made", { name: made.name })} onClose=${onClose}>
			<${Notice} kind="warn"><p>${t("tokens.once")}</p><//>
			<label class="field">
				<span class="label">${t("tokens.secret")}</span>
				<input
					class="secret"
					readonly
					autocomplete="off"
					spellcheck="false"
					value=${made.secret}
					onFocus=${(e) => e.target.select()}
				/>
			</label>
			<p><${Copy} text=${made.secret}>${t("action.copy")}<//></p>
			<div class="buttons">
				<button type="button" class="primary" onClick=${onClose}>${t("tokens.kept")}</button>
			</div>
		<//>
	`;
}

// Tenants chooses whom a token with a global role acts for.
function Tenants({ of, value, set }) {
	return html`
		<label class="field">
			<span class="label">${t("tokens.tenants")}</span>
			<select value=${value} onChange=${(e) => set(e.target.value)}>
				<option value="">${t("tokens.tenants.own")}</option>
				<option value="*">${t("tokens.tenants.all")}</option>
				${of
					.filter((o) => !o.home)
					.map(
						(o) => html`
							<option key=${o.tenant} value=${o.tenant}>${o.client_name || o.tenant}</option>
						`,
					)}
			</select>
		</label>
	`;
}

function Make({ session, tenants, onMade, onClose }) {
	const [name, setName] = useState("");
	const [kind, setKind] = useState("personal");
	const offered = within[session.role] || [];
	const [role, setRole] = useState(offered.includes(session.role) ? session.role : offered[0]);
	const [tenant, setTenant] = useState("");
	const [until, setUntil] = useState("");
	const dirty = Boolean(name || until);
	useUnsaved(dirty);
	const [make, { busy, error }] = useAction(async () =>
		onMade(
			(
				await post(path, {
					name: name.trim(),
					kind,
					role,
					tenants: isGlobal(role) && tenant ? [tenant] : undefined,
					expires_at: until ? instant(until) : undefined,
				})
			).body,
		),
	);
	const close = useClosing(dirty, onClose);
	const wrong = (field) => error?.fields?.find((f) => f.field === field)?.reason;
	return html`
		<${Dialog} title=${t("tokens.make")} onClose=${busy ? () => {} : close}>
			<form
				class="form"
				onSubmit=${(e) => {
					e.preventDefault();
					make();
				}}
			>
				<label class="field">
					<span class="label">${t("tokens.name")}</span>
					<input
						required
						maxlength="100"
						autocomplete="off"
						value=${name}
						onInput=${(e) => setName(e.target.value)}
						aria-describedby="token-name-wrong"
					/>
				</label>
				<${ErrorAt} id="token-name-wrong" text=${wrong("name")} />
				${mayShare(session) &&
				html`
					<label class="field">
						<span class="label">${t("tokens.kind")}</span>
						<select value=${kind} onChange=${(e) => setKind(e.target.value)}>
							<option value="personal">${t("tokens.kind.personal")}</option>
							<option value="shared">${t("tokens.kind.shared")}</option>
						</select>
					</label>
				`}
				<p class="help">${t(`tokens.kind.${kind}.what`)}</p>
				<label class="field">
					<span class="label">${t("tokens.role")}</span>
					<select value=${role} onChange=${(e) => setRole(e.target.value)}>
						${offered.map(
							(r) => html`
								<option key=${r} value=${r}>${roleOf(r)}</option>
							`,
						)}
					</select>
				</label>
				${isGlobal(role) &&
				tenants.length > 1 &&
				html`
					<${Tenants} of=${tenants} value=${tenant} set=${setTenant} />
				`}
				<label class="field">
					<span class="label">${t("tokens.expires")}</span>
					<input
						type="datetime-local"
						value=${until}
						onInput=${(e) => setUntil(e.target.value)}
						aria-describedby="token-until-wrong token-until-help"
					/>
				</label>
				<p class="help" id="token-until-help">${t("tokens.expires.help")}</p>
				<${ErrorAt} id="token-until-wrong" text=${wrong("expires_at")} />
				${error &&
				!wrong("name") &&
				!wrong("expires_at") &&
				html`
					<${Failure} error=${error} />
				`}
				<div class="buttons">
					<button type="button" disabled=${busy} onClick=${close}>${t("form.cancel")}</button>
					<button type="submit" class="primary" disabled=${busy}>
						<${Busy} on=${busy}>${t("tokens.make")}<//>
					</button>
				</div>
			</form>
		<//>
	`;
}

function Revoke({ token, onDone, onClose }) {
	const [revoke, { busy, error }] = useAction(async () => {
		await call("DELETE", tokenPath(token.id));
		onDone();
	});
	return html`
		<${Dialog} title=${t("tokens.revoke.title", { name: token.name })} danger onClose=${busy ? () => {} : onClose}>
			<p>${t("tokens.revoke.what")}</p>
			${error &&
			html`
				<${Failure} error=${error} />
			`}
			<div class="buttons">
				<button type="button" disabled=${busy} onClick=${onClose}>${t("form.cancel")}</button>
				<button type="button" class="danger" disabled=${busy} onClick=${revoke}>
					<${Busy} on=${busy}>${t("tokens.revoke")}<//>
				</button>
			</div>
		<//>
	`;
}

function Row({ token, revoke }) {
	const [kind, icon] = marks[token.state];
	return html`
		<tr>
			<th scope="row">
				${token.name}
				<br />
				<small class="muted">${t(`tokens.kind.${token.kind}`)} · ${token.created_by}</small>
			</th>
			<td data-label=${t("tokens.role")}>
				<div>
					${roleOf(token.role)}
					${token.tenants.length > 0 &&
					isGlobal(token.role) &&
					html`
						<br />
						<small class="muted">
							${token.tenants.includes("*") ? t("tokens.tenants.all") : list(token.tenants)}
						</small>
					`}
				</div>
			</td>
			<td data-label=${t("tokens.state")}>
				<div>
					<${Pill} kind=${kind} icon=${icon}>${t(`tokens.state.${token.state}`)}<//>
					${token.ended &&
					html`
						<br />
						<small class="muted">${t(`tokens.ended.${token.ended}`)}</small>
					`}
				</div>
			</td>
			<td data-label=${t("tokens.expires")}>
				${token.expires_at
					? html`
							<${When} at=${token.expires_at} exact />
						`
					: html`
							<span>${t("tokens.never")}</span>
						`}
			</td>
			<td data-label=${t("tokens.used")}>
				${token.last_used_at
					? html`
							<${When} at=${token.last_used_at} />
						`
					: html`
							<span>${t("tokens.never")}</span>
						`}
			</td>
			<td class="act">
				${token.state === "active" &&
				html`
					<button
						type="button"
						class="quiet small"
						aria-label=${t("tokens.revoke.title", { name: token.name })}
						onClick=${revoke}
					>
						${t("tokens.revoke")}
					</button>
				`}
			</td>
		</tr>
	`;
}

const columns = ["name", "role", "state", "expires", "used"];

export function Tokens({ session }) {
	const [pages, setPages] = useState(1);
	const [making, setMaking] = useState(false);
	const [made, setMade] = useState(null);
	const [ending, setEnding] = useState(null);
	const load = useLoad(`tokens ${pages}`, async (signal) => {
		const items = [];
		let next = "";
		for (let n = 0; n < pages && (n === 0 || next); n++) {
			const { body } = await get(path, { signal, query: { cursor: next } });
			items.push(...body.items);
			next = body.next_cursor;
		}
		const tenants = session.global ? (await get("/v1/tenants", { signal })).body.items : [];
		return { items, more: Boolean(next), tenants };
	});
	const makes = !session.home_tenant; // they are made at home
	return html`
		<div class="head">
			<h1 tabindex="-1">${t("tokens.title")}</h1>
			${makes &&
			html`
				<button type="button" class="primary" disabled=${!load.data} onClick=${() => setMaking(true)}>
					${t("tokens.make")}
				</button>
			`}
		</div>
		<p class="muted">${t("tokens.lead")}</p>
		${!makes &&
		html`
			<${Notice}><p>${t("tokens.home")}</p><//>
		`}
		<${View} load=${load.data || load.error ? load : { ...load, data: load.stale }}>
			${({ items, more }) =>
				items.length
					? html`
							<div class="table-box">
								<table class="log">
									<caption class="visually-hidden">${t("tokens.title")}</caption>
									<thead>
										<tr>
											${columns.map(
												(name) => html`
													<th scope="col" key=${name}>${t(`tokens.${name}`)}</th>
												`,
											)}
											<th scope="col">
												<span class="visually-hidden">${t("tokens.revoke")}</span>
											</th>
										</tr>
									</thead>
									<tbody>
										${items.map(
											(token) => html`
												<${Row}
													key=${token.id}
													token=${token}
													revoke=${() => setEnding(token)}
												/>
											`,
										)}
									</tbody>
								</table>
							</div>
							${more &&
							html`
								<p class="more">
									<button type="button" onClick=${() => setPages(pages + 1)}>${t("more")}</button>
								</p>
							`}
						`
					: html`
							<${Empty} icon="info" title=${t("tokens.none")}><p>${t("tokens.none.what")}</p><//>
						`}
		<//>
		${making &&
		html`
			<${Make}
				session=${session}
				tenants=${load.data?.tenants || []}
				onClose=${() => setMaking(false)}
				onMade=${(token) => {
					setMaking(false);
					setMade(token);
					load.reload();
				}}
			/>
		`}
		${made &&
		html`
			<${Secret} made=${made} onClose=${() => setMade(null)} />
		`}
		${ending &&
		html`
			<${Revoke}
				token=${ending}
				onClose=${() => setEnding(null)}
				onDone=${() => {
					setEnding(null);
					load.reload();
				}}
			/>
		`}
	`;
}
