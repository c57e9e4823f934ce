import { font } from "./reportChartParts.ts"
import { dark, light, properties } from "./reportPalette.ts"

/** The styles of the report. */
export const style = `
:root{color-scheme:light dark;${properties(light)}}
@media (prefers-color-scheme:dark){:root:not([data-theme=light]){${properties(dark)}}}
:root[data-theme=light]{color-scheme:light}
:root[data-theme=dark]{color-scheme:dark;${properties(dark)}}
*{box-sizing:border-box}
html{scroll-padding-top:64px;-webkit-text-size-adjust:100%}
body{margin:0;background:var(--page);color:var(--ink);font:15px/1.5 ${font};font-variant-numeric:tabular-nums}
a{color:var(--accent)}
:focus-visible{outline:2px solid var(--accent);outline-offset:2px;border-radius:6px}
.skip{position:absolute;left:-9999px}
.skip:focus{left:12px;top:12px;z-index:9;background:var(--surface);padding:8px 12px}
.hidden{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
.wrap{max-width:1240px;margin:0 auto;padding:0 24px}
.top{padding:36px 0 20px}
.top .wrap{display:flex;gap:24px;align-items:flex-start;justify-content:space-between}
.kicker{margin:0 0 4px;color:var(--muted);font-size:13px;letter-spacing:.02em}
h1{margin:0;font-size:28px;line-height:1.2;font-weight:650;letter-spacing:-.015em;overflow-wrap:anywhere;text-wrap:balance}
.facts{margin:8px 0 0;padding:0;list-style:none;display:flex;flex-wrap:wrap;gap:2px 18px;color:var(--muted);font-size:14px}
.facts li{overflow-wrap:anywhere}
.actions{display:flex;gap:8px;flex:none}
button{font:inherit;font-size:13px;color:var(--ink);background:var(--surface);border:1px solid var(--line);border-radius:8px;padding:6px 12px;min-height:34px;cursor:pointer}
button:hover{background:var(--soft)}
nav{position:sticky;top:0;z-index:5;background:var(--page);border-bottom:1px solid var(--line)}
nav ul{display:flex;gap:4px;margin:0 -10px;padding:6px 0;list-style:none;overflow-x:auto;scrollbar-width:none}
nav a{display:block;white-space:nowrap;padding:7px 10px;border-radius:8px;color:var(--muted);text-decoration:none;font-size:14px}
nav a:hover{background:var(--soft);color:var(--ink)}
section{margin:36px 0}
h2{margin:0 0 14px;font-size:19px;font-weight:650;letter-spacing:-.01em}
h3{margin:0;font-size:15px;font-weight:600;overflow-wrap:anywhere}
.note{margin:2px 0 0;color:var(--muted);font-size:13px}
.card,figure{margin:0;background:var(--surface);border:1px solid var(--line);border-radius:12px;padding:18px 20px}
.grid{display:grid;grid-template-columns:repeat(2,minmax(0,1fr));gap:16px;align-items:start}
.grid>.wide{grid-column:1/-1}
.verdict{display:flex;gap:12px 16px;align-items:flex-start;flex-wrap:wrap}
.verdict+.verdict{margin-top:12px}
.verdict>div{flex:1 1 320px;min-width:0}
.badge{flex:none;min-width:126px;justify-content:center;display:inline-flex;align-items:center;gap:7px;font-weight:650;font-size:13px;letter-spacing:.03em;border:1.5px solid currentColor;border-radius:99px;padding:3px 12px 3px 10px}
.VALID{color:var(--good)}.DEGRADED{color:var(--warn)}.INVALID{color:var(--bad)}.unknown{color:var(--muted)}
.verdict p{margin:2px 0 0}
.verdict ul{margin:8px 0 0;padding-left:18px}
.verdict li{margin:4px 0}
.verdict .advice{display:block;color:var(--muted);font-size:13.5px}
.tiles{display:grid;grid-template-columns:repeat(4,minmax(0,1fr));gap:12px;margin:16px 0 0}
.tile{background:var(--surface);border:1px solid var(--line);border-radius:12px;padding:14px 18px 13px;min-width:0}
.tile dt{color:var(--muted);font-size:13px}
.tile dd{margin:0}
.tile .value{font-size:26px;line-height:1.25;font-weight:620;letter-spacing:-.02em;white-space:nowrap}
.tile .value small{font-size:.6em;font-weight:500;letter-spacing:0;margin-left:.2em;color:var(--muted)}
.tile .more{color:var(--muted);font-size:13px}
.tile .more b{font-weight:550;color:var(--ink)}
.scroll{overflow-x:auto;margin:0 -20px;padding:0 20px}
table{border-collapse:collapse;width:100%;font-size:14px}
caption{text-align:left}
th,td{padding:7px 14px 7px 0;text-align:right;white-space:nowrap;border-bottom:1px solid var(--line);vertical-align:top}
th:last-child,td:last-child{padding-right:0}
tr:last-child>*{border-bottom:0}
thead th{color:var(--muted);font-weight:500;font-size:13px}
tbody th{font-weight:500}
th:first-child,td:first-child,.texts td,.texts th{text-align:left}
.scroll th:first-child{position:sticky;left:0;background:var(--surface);z-index:1}
.texts td{white-space:normal;overflow-wrap:anywhere}
.texts tbody th{white-space:normal;overflow-wrap:anywhere;min-width:130px;max-width:340px;color:var(--muted);font-weight:400}
.texts tbody td{min-width:140px}
.few{color:var(--muted)}
.delta{color:var(--muted);font-size:12.5px;margin-left:8px}
.swatch{display:inline-block;width:11px;height:11px;border-radius:3px;margin-right:8px}
figure{display:flex;flex-direction:column;min-width:0}
figure header{display:flex;gap:12px;justify-content:space-between;align-items:flex-start;margin-bottom:10px}
figure header>div{min-width:0}
figure header button{flex:none;padding:3px 10px;min-height:28px;font-size:12.5px}
.plot{width:100%;border-radius:6px;-webkit-tap-highlight-color:transparent}
details{margin-top:10px;font-size:13.5px}
summary{cursor:pointer;color:var(--muted);padding:4px 0;width:fit-content;border-radius:6px}
summary:hover{color:var(--ink)}
figure details .scroll{max-height:340px;overflow:auto}
figure details thead th{position:sticky;top:0;background:var(--surface)}
figure details table{font-size:13px}
.card>details:first-of-type{margin-top:0}
.card>details+details{border-top:1px solid var(--line);padding-top:8px}
.card>details>summary{font-size:15px;font-weight:550;color:var(--ink)}
pre{margin:0;white-space:pre-wrap;overflow-wrap:anywhere;font:12.5px/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
footer{padding:8px 0 48px;color:var(--muted);font-size:13px}
@media (min-width:901px){.grid>:not(.wide) header{min-height:64px}}
@media (max-width:900px){.grid{grid-template-columns:minmax(0,1fr)}.tiles{grid-template-columns:repeat(2,minmax(0,1fr))}}
@media (max-width:560px){
.wrap{padding:0 14px}.top{padding:22px 0 14px}h1{font-size:22px}.top .wrap{flex-direction:column;gap:12px}
section{margin:28px 0}.card,figure{padding:14px}.scroll{margin:0 -14px;padding:0 14px}
.tiles{gap:8px}.tile{padding:11px 12px}.tile .value{font-size:21px}
nav ul{margin:0 -8px}
.scroll tbody th{white-space:normal;min-width:112px;max-width:140px}
}
@media print{
@page{margin:14mm}
body{background:#fff;font-size:11pt}
nav,.actions,.skip,figure details,figure header button{display:none!important}
.wrap{max-width:none;padding:0}
.top{padding:0 0 8pt}
.card,figure,.tile{border-color:#c9ced4;break-inside:avoid}
.tiles{grid-template-columns:repeat(4,minmax(0,1fr))}
.grid{grid-template-columns:minmax(0,1fr)}
section{margin:16pt 0}h2{break-after:avoid}
table{font-size:9pt}.scroll{overflow:visible}
}
`
