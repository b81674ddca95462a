// The mails that a deployment without a mail server keeps.
import { html, useEffect, useRef, useState } from "../html.js";
import { get } from "../api.js";
import { t, time } from "../i18n.js";
import { useLoad } from "../load.js";
import { useLocation, withQuery } from "../router.js";
import { Empty, View, When } from "../ui.js";

const base = document.querySelector('meta[name="base"]').content;
const refresh = 5_000;

// Letter shows a mail as its reader sees it, in a frame that runs none of its scripts and loads nothing from elsewhere.
export function Letter({ mail }) {
	const frame = useRef(null);
	const [plain, setPlain] = useState(!mail.html);
	useEffect(() => {
		if (plain) return undefined;
		const answer = (e) => {
			if (e.source !== frame.current?.contentWindow) return;
			if (e.data === "ready") e.source.postMessage(mail.html, "*");
			else if (typeof e.data === "number") frame.current.height = Math.min(2000, Math.max(120, e.data));
		};
		addEventListener("message", answer);
		return () => removeEventListener("message", answer);
	}, [mail.html, plain]);
	return html`
		<div class="letter">
			<dl class="facts">
				<div class="fact">
					<dt>${t("mail.to")}</dt>
					<dd>${mail.to}</dd>
				</div>
				<div class="fact">
					<dt>${t("mail.subject")}</dt>
					<dd>${mail.subject}</dd>
				</div>
				${mail.attachments?.length > 0 &&
				html`
					<div class="fact">
						<dt>${t("mail.attachments")}</dt>
						<dd>${mail.attachments.join(", ")}</dd>
					</div>
				`}
			</dl>
			${mail.html &&
			html`
				<div class="chips">
					<ul>
						<li>
							<button type="button" aria-pressed=${!plain} onClick=${() => setPlain(false)}>
								${t("mail.html")}
							</button>
						</li>
						<li>
							<button type="button" aria-pressed=${plain} onClick=${() => setPlain(true)}>
								${t("mail.text")}
							</button>
						</li>
					</ul>
				</div>
			`}
			${plain
				? html`
						<pre class="wrap" tabindex="0" aria-label=${t("mail.text")}>${mail.text}</pre>
					`
				: html`
						<iframe
							ref=${frame}
							title=${t("mail.frame", { subject: mail.subject })}
							sandbox="allow-scripts"
							src=${`${base}letter.html`}
							height="480"
						></iframe>
					`}
		</div>
	`;
}

export function MailLog() {
	const { query } = useLocation();
	const [pages, setPages] = useState(1);
	const load = useLoad(
		`mail-log ${pages}`,
		async (signal) => {
			const items = [];
			let next = "";
			for (let n = 0; n < pages && (n === 0 || next); n++) {
				const { body } = await get("/v1/mail-log", { signal, query: { cursor: next } });
				items.push(...body.items);
				next = body.next_cursor;
			}
			return { items, more: Boolean(next) };
		},
		{ every: refresh },
	);
	const open = query.get("mail");
	return html`
		<h1 tabindex="-1">${t("nav.mail_log")}</h1>
		<p class="muted">${t("mail_log.lead")}</p>
		<${View} load=${load.data || load.error ? load : { ...load, data: load.stale }}>
			${(data) => {
				if (!data.items.length)
					return html`
						<${Empty} icon="email" title=${t("mail_log.empty")}><p>${t("mail_log.empty.what")}</p><//>
					`;
				const mail = data.items.find((m) => m.id === open);
				return html`
					<div class="halves mails">
						<div>
							<ul class="mail-list">
								${data.items.map(
									(m) => html`
										<li key=${m.id}>
											<a
												href=${withQuery({ mail: m.id })}
												aria-current=${m.id === open ? "true" : undefined}
											>
												<strong>${m.subject}</strong>
												<span>${m.to}</span>
												<small><${When} at=${m.at} /></small>
											</a>
										</li>
									`,
								)}
							</ul>
							${data.more &&
							html`
								<p class="more">
									<button type="button" onClick=${() => setPages(pages + 1)}>${t("more")}</button>
								</p>
							`}
						</div>
						<section class="panel" aria-live="polite">
							${mail
								? html`
										<h2>${mail.subject}</h2>
										<p class="muted">${time(mail.at, { seconds: true })}</p>
										<${Letter} key=${mail.id} mail=${mail} />
									`
								: html`
										<p class="muted">${t("mail_log.choose")}</p>
									`}
						</section>
					</div>
				`;
			}}
		<//>
	`;
}
