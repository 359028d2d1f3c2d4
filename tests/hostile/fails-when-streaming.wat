;; world: classifier
;; Fails on streams and is sound otherwise: a policy that can recover.

  (import "turnpike:policy/request@0.1.0" "streaming" (func $streaming (result i32)))

  (func (export "turnpike:policy/classify@0.1.0#classify") (result i32)
    (if (call $streaming) (then (unreachable)))
    (i32.store (i32.const 1036) (i32.const {name_length}))
    (i32.const 1024))
